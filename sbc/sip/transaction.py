"""One transaction as data: which machine it runs, in which state, and what it must remember (RFC 3261 §17).

What happens to it is decided by `transaction_tables` and done by `transaction_machinery`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sbc.sip.message import Request, Response
from sbc.sip.timers import Timer
from sbc.sip.transaction_tables import CLIENT, INVITE_CLIENT, INVITE_SERVER, SERVER, State, Table
from sbc.sip.uri import Uri

if TYPE_CHECKING:
    from sbc.sip.effects import FlowLike
    from sbc.sip.timer_queue import Alarm

Key: TypeAlias = tuple[str, ...]

_NOWHERE = Uri.parse("sip:released.invalid")
_RELEASED = (Request("OPTIONS", _NOWHERE), Request("INVITE", _NOWHERE))
"""What stands for the request of a transaction that was answered: thousands linger for half a minute (RFC 6026)."""


class Transaction:
    """What client and server transactions share."""

    __slots__ = (
        "data",
        "flow",
        "interval",
        "is_invite",
        "key",
        "request",
        "seen",
        "state",
        "table",
        "timers",
        "user",
    )

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
        self.is_invite = request.method == "INVITE"
        self.seen = True
        """Whether the user was told of it; what the layer does by itself (CANCEL, 482) raises no events."""
        self.data = b""
        """The last message sent, as bytes."""
        self.timers: dict[Timer, Alarm] = {}
        """The running timers."""
        self.interval = 0.0
        """The current retransmission interval in seconds."""

    def release(self) -> None:
        """Let go of what a lingering transaction needs no more: it only absorbs repeats until its last timer."""
        self.request = _RELEASED[self.is_invite]
        self.user = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.request.method} {self.state.value}>"


class ClientTransaction(Transaction):
    """A request of ours."""

    __slots__ = ("cancel_reason", "cancelled", "provisional")

    def __init__(self, key: Key, request: Request, flow: FlowLike, user: Any) -> None:
        if request.method == "INVITE":
            super().__init__(key, INVITE_CLIENT, State.CALLING, request, flow, user)
        else:
            super().__init__(key, CLIENT, State.TRYING, request, flow, user)
        self.cancelled = False
        self.cancel_reason: str | None = None
        self.provisional = False
        """A 1xx came, so a CANCEL may be sent (§9.1)."""


class ServerTransaction(Transaction):
    """A request of a peer's."""

    __slots__ = ("flow_lost", "merge_key", "response")

    def __init__(self, key: Key, request: Request, flow: FlowLike, user: Any = None) -> None:
        if request.method == "INVITE":
            super().__init__(key, INVITE_SERVER, State.PROCEEDING, request, flow, user)
        else:
            super().__init__(key, SERVER, State.TRYING, request, flow, user)
        self.response: Response | None = None
        """The last response sent."""
        self.merge_key: Key | None = None
        """Call-ID, From tag and CSeq of a request outside of dialogs: a second one with another branch is merged."""
        self.flow_lost = False
        """The connection is gone; the next repeat of the request says where responses go now (§18.2.2)."""
