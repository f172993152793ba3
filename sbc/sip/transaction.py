"""One transaction as data: which machine it runs, in which state, and what it must remember (RFC 3261 §17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sbc.sip.message import Request, Response
from sbc.sip.timers import Timer
from sbc.sip.transaction_tables import State, Table
from sbc.sip.uri import Uri

if TYPE_CHECKING:
    from sbc.sip.effects import FlowLike

Key: TypeAlias = tuple[str, ...]

_NOWHERE = Uri.parse("sip:released.invalid")
_RELEASED = (Request("OPTIONS", _NOWHERE), Request("INVITE", _NOWHERE))
"""What stands for the request of a transaction that was answered: thousands linger for half a minute (RFC 6026)."""


class Transaction:
    """What client and server transactions share."""

    __slots__ = ("data", "flow", "intervals", "key", "request", "state", "table", "timers", "user")

    def __init__(
        self, key: Key, table: Table, state: State, request: Request, flow: FlowLike, user: Any
    ) -> None:
        self.key = key
        self.table = table
        self.state = state
        self.request = request
        self.flow = flow
        self.user = user
        """The transaction user's own object, untouched by the core."""
        self.data = b""
        """The last message sent, as bytes."""
        self.timers: dict[Timer, float] = {}
        """When each running timer is due."""
        self.intervals = 0.0
        """The current retransmission interval in seconds."""

    @property
    def is_invite(self) -> bool:
        """True for the transaction of an INVITE."""
        return self.request.method == "INVITE"

    def release(self) -> None:
        """Let go of what a lingering transaction needs no more: it only absorbs repeats until its last timer."""
        self.request = _RELEASED[self.is_invite]
        self.user = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request.method} {self.state.value}>"


class ClientTransaction(Transaction):
    """A request of ours."""

    __slots__ = ("cancel_reason", "cancelled", "provisional")

    def __init__(
        self, key: Key, table: Table, state: State, request: Request, flow: FlowLike, user: Any
    ) -> None:
        super().__init__(key, table, state, request, flow, user)
        self.cancelled = False
        self.cancel_reason: str | None = None
        self.provisional = False
        """A 1xx came, so a CANCEL may be sent (§9.1)."""


class ServerTransaction(Transaction):
    """A request of a peer's."""

    __slots__ = ("merge_key", "response")

    def __init__(
        self, key: Key, table: Table, state: State, request: Request, flow: FlowLike, user: Any
    ) -> None:
        super().__init__(key, table, state, request, flow, user)
        self.response: Response | None = None
        """The last response sent."""
        self.merge_key: Key | None = None
        """Call-ID, From tag and CSeq of a request outside of dialogs: a second one with another branch is merged."""
