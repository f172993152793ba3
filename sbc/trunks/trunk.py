"""A trunk at run time: its settings, its vendor's profile and the health of its targets."""

from __future__ import annotations

import secrets

from config.settings import Settings
from config.trunks import Target
from config.trunks import Trunk as TrunkSettings
from sbc.b2bua.offers import OfferShape
from sbc.media import MediaProfile
from sbc.media.profiles import media_profile
from sbc.sip.auth import DigestClient
from sbc.transport import Flow, Remote
from sbc.trunks.health import TrunkHealth
from sbc.trunks.profile import OutgoingCall, Profile, escape_user
from sbc.trunks.talkdesk import TalkdeskProfile
from sbc.trunks.teams import TeamsProfile

__all__ = ["OutgoingCall", "Trunk"]


class Trunk:
    """A peer that calls come from and go to."""

    def __init__(self, settings: TrunkSettings, whole: Settings) -> None:
        self.settings = settings
        self.name = settings.name
        self.tenant = settings.tenant
        self.is_teams = settings.kind == "teams"
        self.profile: Profile = (
            TeamsProfile(settings, whole) if self.is_teams else TalkdeskProfile(settings, whole)
        )
        self.media: MediaProfile = media_profile(settings.media_profile, interface=settings.media_interface)
        self.targets: tuple[Target, ...] = settings.parsed_targets()
        self.health = TrunkHealth(self.targets)
        self.session_expires_s = whole.timers.session_expires_s
        self.reaction_timeout_s = whole.timers.invite_timeout_s
        self.no_answer_s = whole.timers.no_answer_s
        listener = whole.listener(settings.listener)
        self.listener = listener
        self.advertised_port = listener.advertised_port or listener.port
        self.offer_shape = OfferShape(hold_is_inactive=self.is_teams, codecs=settings.codecs)
        self.region = whole.tenant(settings.tenant).region

    def contact(self, flow: Flow, user: str) -> str:
        """Return our Contact value on this trunk, as seen from ``flow``.

        Never an empty user before ``@``; always with the port, which Teams dials for BYE and re-INVITE.
        """
        at = f"{escape_user(user)}@" if user else ""
        tail = "" if flow.transport == "UDP" else f";transport={flow.transport.lower()}"
        return f"<sip:{at}{self.sent_by(flow)}{tail}>"

    def sent_by(self, flow: Flow) -> str:
        """Return ``host:port`` for Via and Contact: the name that is known on the trunk, or for peers that have none, our address."""
        host = self.listener.advertised_host
        if host is None:
            host = self.settings.fqdn if self.is_teams else self._own_address(flow)
        return f"[{host}]:{self.advertised_port}" if ":" in host else f"{host}:{self.advertised_port}"

    def remote(self, host: str, port: int, transport: str) -> Remote:
        """Return how to reach an address on this trunk: as whom, and whom to expect."""
        settings = self.settings
        secure = transport == "TLS"
        return Remote(
            trunk=self.name,
            host=host,
            port=port,
            transport=transport,
            listener=settings.listener,
            certificate=settings.certificate if secure else None,
            ca_file=settings.ca_file if secure else None,
            accepted_names=settings.accepted_sans if secure else (),
        )

    def _own_address(self, flow: Flow) -> str:
        address = self.listener.address
        return flow.local[0] if address in ("0.0.0.0", "::") else address  # noqa: S104 - compared, not bound

    def digest_client(self) -> DigestClient | None:
        """Return a digest client with the trunk's credentials; ``None`` when it has none."""
        username, password = self.settings.auth_username, self.settings.auth_password
        if username is None or password is None:
            return None
        return DigestClient(
            username,
            password.get_secret_value(),
            cnonce=lambda: secrets.token_hex(8),
            realm=self.settings.auth_realm,
        )

    def __repr__(self) -> str:
        return f"<Trunk {self.name}>"
