"""What differs between vendors when a call leaves or arrives: the interface that `teams` and `talkdesk` fill.

A profile is data and small pure functions; it holds no state and does no I/O. The call logic asks it how an INVITE to this
kind of peer looks, who is calling according to an INVITE from it, and how its refusals read to the other side.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from config.trunks import Target
from sbc.sip.errors import ParseError
from sbc.sip.message import Request
from sbc.sip.uri import NameAddr, Uri

if TYPE_CHECKING:
    from sbc.trunks.trunk import Trunk

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, as far as the incoming side said."""

    user: str
    """User part for the far side's From: an E.164 number where there is one; may be empty."""
    display: str = ""
    """Display name, unquoted."""
    private: bool = False
    """The caller asked not to be shown (Privacy: id, RFC 3323)."""


@dataclass(frozen=True, slots=True)
class OutgoingCall:
    """A call about to leave on a trunk."""

    number: str
    """What to dial there: an E.164 number (or, towards Talkdesk, whatever the trunk's numbers say)."""
    caller: Caller
    parameters: str = ""
    """Parameters to put behind the number in the Request-URI: ``;ext=1001`` or ``;opaque=app:voicemail``."""
    max_forwards: int = 69
    passed: Headers = ()
    """Headers of the other leg that the trunk's ``pass_headers`` lets through, unchanged."""


@dataclass(frozen=True, slots=True)
class InviteShape:
    """The vendor's part of an outgoing INVITE."""

    request_uri: Uri
    from_: NameAddr
    """Without a tag."""
    to: NameAddr
    headers: Headers


@dataclass(frozen=True, slots=True)
class Refusal:
    """A final refusal in the words of the leg that hears it."""

    status: int
    phrase: str
    headers: Headers = ()


class Profile(Protocol):
    """A vendor's ways."""

    @property
    def capabilities(self) -> Headers:
        """Allow, Supported and the like: sent in every INVITE, 2xx and OPTIONS answer of this trunk."""

    def outgoing_invite(self, trunk: Trunk, call: OutgoingCall, target: Target) -> InviteShape:
        """Shape the INVITE for ``target``."""

    def options_uri(self, target: Target) -> Uri:
        """Return the Request-URI of a health check."""

    def caller(self, request: Request) -> Caller:
        """Say who calls, read from an INVITE of this trunk."""

    def refusal(self, status: int, phrase: str, reason: str | None) -> Refusal:
        """Translate a refusal heard on this trunk for the other leg."""


def uri(host: str, port: int | None, *, user: str | None = None, parameters: str = "", tail: str = "") -> Uri:
    """Build a SIP URI from parts; ``host`` may be an IPv6 address without brackets.

    ``parameters`` go behind the user (``;ext=1001``), ``tail`` behind the host (``;user=phone``).
    """
    bracketed = f"[{host}]" if ":" in host else host
    at = f"{escape_user(user)}{parameters}@" if user else ""
    colon = f":{port}" if port is not None else ""
    return Uri.parse(f"sip:{at}{bracketed}{colon}{tail}")


_NOT_IN_USER = re.compile(r"[^A-Za-z0-9\-_.!~*'()&=+$,;?/%]")


def escape_user(user: str) -> str:
    """Escape what cannot stand in a URI's user part (RFC 3261 §25.1); ``%hh`` stays as it is."""
    return _NOT_IN_USER.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), user)


def asserted_identity(request: Request) -> NameAddr | None:
    """Return the first usable P-Asserted-Identity (RFC 3325 §9.1), or ``None``."""
    for value in request.headers.values("P-Asserted-Identity"):
        try:
            identity = NameAddr.parse(value)
        except ParseError:
            continue
        if identity.uri.user or identity.uri.scheme == "tel":
            return identity
    return None


def wants_privacy(request: Request) -> bool:
    """Tell whether the caller asked that its identity be withheld (RFC 3323 §4.2, RFC 3325 §9.3)."""
    value = request.headers.first("Privacy")
    return value is not None and any(
        word.strip().lower() in ("id", "user", "header") for word in value.split(";")
    )


Q850_BY_STATUS = {
    404: 1,
    408: 102,
    410: 22,
    480: 19,
    484: 28,
    486: 17,
    487: 16,
    488: 88,
    500: 41,
    503: 41,
    603: 21,
}
"""Cause values (ITU-T Q.850) that go with SIP statuses, after RFC 3398 §7.2.4.1 turned round."""
