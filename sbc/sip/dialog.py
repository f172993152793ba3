"""Dialogs: who talks to whom, in what order, by which route (RFC 3261 §12).

A dialog is made from the INVITE and its answer, on either side; it builds in-dialog requests and judges those that arrive.
Pure state: it neither sends nor waits. Offer/answer state is the user agent's, because one dialog's offer may wait for
another's.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable

from sbc.sip.errors import LocalError, ParseError
from sbc.sip.message import Request, Response
from sbc.sip.uri import NameAddr, Uri

_TARGET_REFRESH = frozenset(["INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"])


class DialogState(enum.Enum):
    """How far a dialog has come."""

    EARLY = "early"
    CONFIRMED = "confirmed"


class Dialog:
    """One dialog, seen from our side."""

    __slots__ = (
        "call_id",
        "local",
        "local_cseq",
        "local_tag",
        "remote",
        "remote_cseq",
        "remote_tag",
        "remote_target",
        "route_set",
        "state",
    )

    def __init__(
        self,
        call_id: str,
        local: NameAddr,
        remote: NameAddr,
        remote_target: Uri,
        route_set: tuple[str, ...],
        local_cseq: int,
        remote_cseq: int | None,
        state: DialogState,
    ) -> None:
        self.call_id = call_id
        self.local = local
        """Our From (or To) value, tag included."""
        self.remote = remote
        self.local_tag = local.tag or ""
        self.remote_tag = remote.tag
        """``None`` for a peer of RFC 2543, which has no tags."""
        self.remote_target = remote_target
        """The peer's Contact URI, repeated byte for byte in Request-URIs."""
        self.route_set = route_set
        self.local_cseq = local_cseq
        self.remote_cseq = remote_cseq
        self.state = state

    @classmethod
    def from_invite_sent(cls, request: Request, response: Response) -> Dialog:
        """Make the dialog that a response with a To tag opens for the caller (§12.1.2): its Record-Route reversed."""
        if response.status <= 100 or response.status >= 300:
            raise LocalError("only 101 to 299 open a dialog")
        state = DialogState.CONFIRMED if response.status >= 200 else DialogState.EARLY
        return cls(
            request.call_id,
            request.from_,
            response.to,
            _contact(response) or request.uri,
            tuple(reversed(response.headers.values("Record-Route"))),
            request.cseq.number,
            None,
            state,
        )

    @classmethod
    def from_invite_received(cls, request: Request, local_tag: str) -> Dialog:
        """Make the dialog of a callee (§12.1.1): the route set is the request's Record-Route in its order.

        Raises ParseError (400) when the request has no Contact that can be called back.
        """
        target = _contact(request)
        if target is None:
            raise ParseError("Missing or unusable Contact header", status=400, request=request)
        return cls(
            request.call_id,
            request.to.with_tag(local_tag),
            request.from_,
            target,
            tuple(request.headers.values("Record-Route")),
            0,
            request.cseq.number,
            DialogState.EARLY,
        )

    def confirm(self) -> None:
        """Note that the dialog was answered."""
        self.state = DialogState.CONFIRMED

    # ---- our requests ----------------------------------------------------------------------------------------------

    @property
    def next_hop(self) -> Uri:
        """Where the next request goes: the first route, else the remote target (§12.2.1.1, §8.1.2)."""
        return _route_uri(self.route_set[0]) if self.route_set else self.remote_target

    def request(self, method: str, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """Build the next request of ours in this dialog (§12.2.1.1)."""
        if method in ("ACK", "CANCEL"):
            raise LocalError(f"{method} takes the number of its INVITE")
        self.local_cseq += 1
        return self._build(method, self.local_cseq, headers, body)

    def ack(self, cseq: int, *, headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> Request:
        """Build the ACK for a 2xx to the INVITE with that number (§13.2.2.4)."""
        return self._build("ACK", cseq, headers, body)

    def _build(self, method: str, cseq: int, headers: Iterable[tuple[str, str]], body: bytes) -> Request:
        uri, routes = self._target()
        pairs = [("Route", route) for route in routes]
        pairs += [
            ("Max-Forwards", "70"),
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        pairs += headers
        return Request(method, uri, pairs, body)

    def _target(self) -> tuple[Uri, tuple[str, ...]]:
        """Request-URI and Route set: loose routing, or the strict routing of RFC 2543 proxies (§12.2.1.1)."""
        routes = self.route_set
        if not routes:
            return self.remote_target, ()
        first = _route_uri(routes[0])
        if first.has_param("lr"):
            return self.remote_target, routes
        # A strict router wants to find itself in the Request-URI and the target at the end of the routes
        return first.replace(headers=""), (*routes[1:], f"<{self.remote_target}>")

    # ---- the peer's requests ---------------------------------------------------------------------------------------

    def check(self, request: Request) -> int | None:
        """Judge the order of a request of the peer's (§12.2.2); returns the status to refuse it with, or ``None``.

        Gaps are allowed, going back is not: 500. ACK and CANCEL carry the number of their INVITE and are not judged.
        """
        if request.method in ("ACK", "CANCEL"):
            return None
        number = request.cseq.number
        if self.remote_cseq is not None and number <= self.remote_cseq:
            return 500
        self.remote_cseq = number
        return None

    def refresh_target(self, message: Request | Response) -> None:
        """Take over a new remote target from a target refresh request or its 2xx (§12.2.1.2, §12.2.2)."""
        method = message.method if isinstance(message, Request) else message.cseq.method
        if method in _TARGET_REFRESH and (target := _contact(message)) is not None:
            self.remote_target = target


def _contact(message: Request | Response) -> Uri | None:
    try:
        contact = message.contact
    except ParseError:
        return None
    if contact is None or contact.uri.scheme not in ("sip", "sips"):
        return None
    return contact.uri


def _route_uri(route: str) -> Uri:
    return NameAddr.parse(route).uri
