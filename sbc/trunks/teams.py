"""Everything that is particular to Microsoft Teams Direct Routing on the signalling side.

Sources: Microsoft's Direct Routing protocol pages and field traces, as noted at each rule. The media side is a media
profile, the certificate side is a rule of the trunk; no other module knows what Teams is.
"""

from __future__ import annotations

import re
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
"""What we take from Teams. NOTIFY must be there whether or not REFER is (Direct Routing SIP page, transfer)."""

_CAUSE = re.compile(r"(?i)\bcause\s*=\s*(\d+)")


class TeamsProfile:
    """How the hub wants to be spoken to."""

    def __init__(self, settings: TrunkSettings, whole: Settings) -> None:
        methods = (*METHODS, "REFER") if settings.allow_refer else METHODS
        self._fqdn = settings.fqdn
        self._region = whole.tenant(settings.tenant).region
        self._default_caller = settings.default_caller_number
        self._session_expires_s = whole.timers.session_expires_s
        agent = whole.node.user_agent
        self.capabilities: Headers = (
            ("Allow", ", ".join(methods)),
            ("Supported", "timer"),
            *((("User-Agent", agent),) if agent else ()),
        )

    def outgoing_invite(self, trunk: Trunk, call: OutgoingCall, target: Target) -> InviteShape:
        """Shape an INVITE for the hub.

        The Request-URI is the called number at the hub with ``user=phone``, so that the hub does not have to guess; From is
        what Teams shows as the caller, at our own name; session timer offered no shorter than what Teams sets (1800 s).
        """
        caller = call.caller
        number = to_e164(caller.user, self._region) or self._default_caller or _user_text(caller.user)
        if caller.private:
            from_ = NameAddr("Anonymous", uri(self._fqdn, None, user="anonymous"))
        else:
            tail = ";user=phone" if number and number.startswith("+") else ""
            from_ = NameAddr(caller.display, uri(self._fqdn, None, user=number, tail=tail))
        return InviteShape(
            request_uri=uri(
                target.host,
                target.port,
                user=call.number,
                parameters=call.parameters,
                tail=";user=phone;transport=tls",
            ),
            from_=from_,
            to=NameAddr("", uri(target.host, None, user=call.number, tail=";user=phone")),
            headers=(("Session-Expires", str(self._session_expires_s)), ("Min-SE", "90"), *call.passed),
        )

    def options_uri(self, target: Target) -> Uri:
        """Return the hub's own address: name, port and transport."""
        return uri(target.host, target.port, tail=";transport=tls")

    def caller(self, request: Request) -> Caller:
        """Say who calls: From; a P-Asserted-Identity only where From is anonymous and privacy is not asked for."""
        identity = request.from_
        private = wants_privacy(request)
        if (identity.uri.user or "").lower() in ("", "anonymous") and not private:
            identity = asserted_identity(request) or identity
        return Caller(identity.uri.user or "", identity.display, private)

    def refusal(self, status: int, phrase: str, reason: str | None) -> Refusal:
        """Translate the hub's refusal.

        Busy arrives as 486 with Q.850 cause 34 (no circuit), which makes carriers route again and ring twice: it is
        said as cause 17 (user busy).
        """
        if status in (401, 407):
            return Refusal(500, "Far end demands authentication")
        if status == 486 and reason is not None and (found := _CAUSE.search(reason)) and found[1] == "34":
            return Refusal(486, phrase, (("Reason", 'Q.850;cause=17;text="User busy"'),))
        if 300 <= status < 400:
            return Refusal(480, "Far end redirects, which is not followed")
        return Refusal(status, phrase, (("Reason", reason),) if reason else ())


def _user_text(user: str) -> str:
    """Keep a user part that is not a number only if it can stand in a URI as it is."""
    return user if re.fullmatch(r"[A-Za-z0-9._+\-]{1,64}", user) else "anonymous"
