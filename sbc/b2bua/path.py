"""Where a leg's own requests leave: the connection that carried the dialog, or the next hop dialled anew.

Microsoft keeps two pools per trunk (its requests on its connections, ours on ours) and may send a request of one dialog on
any connection, so a dialog is never tied to a socket. What a leg knows is a *hint*: the connection that we opened for its
INVITE, or, for trunks that say so (`reuse_inbound`), the one its INVITE came on. While the hint is open it is used; then the
dialog's next hop (RFC 3261 §12.2.1.1) is dialled, its certificate checked against the trunk's rule, not against a name that
the peer chose.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sbc.sip.message import Request, Response
from sbc.sip.transactions import ClientTransaction
from sbc.sip.uri import Uri
from sbc.transport import Flow
from sbc.trunks.trunk import Trunk


class Receiver(Protocol):
    """Takes what a client transaction brings."""

    def on_response(self, response: Response) -> None:
        """Take a response, provisional or final."""

    def on_failure(self, kind: str) -> None:
        """Take the end of a transaction without a final response: ``timeout`` or ``transport``."""


class Sender(Protocol):
    """What a path needs of the endpoint."""

    def send_request(self, request: Request, flow: Flow, trunk: Trunk, user: Receiver) -> ClientTransaction:
        """Start a client transaction on ``flow``."""

    def send_stateless(self, request: Request, flow: Flow, trunk: Trunk) -> None:
        """Send an ACK outside of any transaction."""

    def with_flow(
        self,
        trunk: Trunk,
        next_hop: Uri,
        use: Callable[[Flow], None],
        failed: Callable[[str], None],
    ) -> None:
        """Find or dial a connection towards ``next_hop`` and call ``use`` with it, or ``failed`` with a reason."""


class Path:
    """The way of one leg's requests."""

    def __init__(self, sender: Sender, trunk: Trunk, hint: Flow | None) -> None:
        self._sender = sender
        self._trunk = trunk
        self.hint = hint
        self.next_hop: Callable[[], Uri] | None = None
        """Set when the dialog exists: its next hop, read at each use because a target refresh may move it."""

    def send(self, request: Request, user: Receiver) -> None:
        """Send a request; a connection that cannot be had is reported as a failed transaction."""
        self._with_flow(
            lambda flow: self._sender.send_request(request, flow, self._trunk, user),
            lambda _reason: user.on_failure("transport"),
        )

    def send_ack(self, ack: Request) -> None:
        """Send an ACK; when no connection is to be had the peer repeats its 2xx and the next try may succeed."""
        self._with_flow(
            lambda flow: self._sender.send_stateless(ack, flow, self._trunk), lambda _reason: None
        )

    def aside(self, next_hop: Callable[[], Uri]) -> Path:
        """Return a path of its own for a second dialog with the same peer (a fork that nobody wants)."""
        path = Path(self._sender, self._trunk, self.hint)
        path.next_hop = next_hop
        return path

    def _with_flow(self, use: Callable[[Flow], object], failed: Callable[[str], None]) -> None:
        hint = self.hint
        if hint is not None and not hint.closed:
            use(hint)
        elif self.next_hop is None:
            failed("no dialog")
        else:
            self._sender.with_flow(self._trunk, self.next_hop(), lambda flow: self._took(flow, use), failed)

    def _took(self, flow: Flow, use: Callable[[Flow], object]) -> None:
        self.hint = flow
        use(flow)
