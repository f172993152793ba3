"""The contact centre's side: agents' calls come in here, and calls from Teams leave here.

Talkdesk publishes no SIP dialect of its own, so this profile is plain RFC 3261 with everything that differs between
accounts (transport, addresses or digest, codecs, extra headers, the caller's number) taken from the trunk's settings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from config.settings import Settings
from config.trunks import Target
from config.trunks import Trunk as TrunkSettings
from sbc.routing.numbers import to_e164
from sbc.sip.message import Request
from sbc.sip.uri import NameAddr, Uri
from sbc.trunks.profile import (
    Caller,
    Headers,
    InviteShape,
    OutgoingCall,
    Refusal,
    asserted_identity,
    uri,
    wants_privacy,
)

if TYPE_CHECKING:
    from sbc.trunks.trunk import Trunk

METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "NOTIFY", "UPDATE")


class TalkdeskProfile:
    """How the contact centre is spoken to."""

    def __init__(self, settings: TrunkSettings, whole: Settings) -> None:
        methods = (*METHODS, "REFER") if settings.allow_refer else METHODS
        self._settings = settings
        self._region = whole.tenant(settings.tenant).region
        self._session_expires_s = whole.timers.session_expires_s
        agent = whole.node.user_agent
        self.capabilities: Headers = (
            ("Allow", ", ".join(methods)),
            ("Supported", "timer"),
            *((("User-Agent", agent),) if agent else ()),
        )

    def outgoing_invite(self, trunk: Trunk, call: OutgoingCall, target: Target) -> InviteShape:
        """Shape an INVITE for the contact centre: the called number at the target, the caller's number at our name."""
        caller = call.caller
        number = (
            to_e164(caller.user, self._region)
            or self._settings.default_caller_number
            or caller.user
            or "anonymous"
        )
        headers: Headers = (("Session-Expires", str(self._session_expires_s)), ("Min-SE", "90"), *call.passed)
        own = uri(self._settings.fqdn, None, user=number)
        if caller.private:
            # Inside the trust of the trunk the number is asserted and marked private (RFC 3325 §9.1, §9.3)
            headers = (*headers, ("P-Asserted-Identity", f"<{own}>"), ("Privacy", "id"))
            from_ = NameAddr("Anonymous", Uri.parse("sip:anonymous@anonymous.invalid"))
        else:
            from_ = NameAddr(caller.display, own)
        tail = "" if target.transport == "udp" else f";transport={target.transport}"
        return InviteShape(
            request_uri=uri(
                target.host, target.port, user=call.number, parameters=call.parameters, tail=tail
            ),
            from_=from_,
            to=NameAddr("", uri(target.host, None, user=call.number)),
            headers=headers,
        )

    def options_uri(self, target: Target) -> Uri:
        """Return the target's own address."""
        return uri(
            target.host,
            target.port,
            tail="" if target.transport == "udp" else f";transport={target.transport}",
        )

    def caller(self, request: Request) -> Caller:
        """Say who calls: the identity that the trunk asserts (P-Asserted-Identity) before the one that is shown (From).

        Teams ignores P-Asserted-Identity for display, so what the contact centre asserts has to become From there.
        """
        identity = asserted_identity(request) or request.from_
        display = identity.display or request.from_.display
        return Caller(identity.uri.user or "", display, wants_privacy(request))

    def refusal(self, status: int, phrase: str, reason: str | None) -> Refusal:
        """Translate a refusal of the contact centre for Teams.

        Authentication is between us and the contact centre, and a redirect is not followed: neither is Teams' business.
        """
        if status in (401, 407):
            return Refusal(500, "Far end demands authentication")
        if 300 <= status < 400:
            return Refusal(480, "Far end redirects, which is not followed")
        return Refusal(status, phrase, (("Reason", reason),) if reason else ())
