"""What the transaction layer tells its owner: messages to send, and events for the transaction user.

A closed vocabulary. Effects are to be carried out in the order in which they come.
"""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from sbc.sip.message import Request, Response
from sbc.sip.transaction import ClientTransaction, ServerTransaction
from sbc.sip.value import value


class FlowLike(Protocol):
    """All that the core knows of a connection."""

    @property
    def transport(self) -> str:
        """``UDP``, ``TCP`` or ``TLS``."""

    @property
    def reliable(self) -> bool:
        """Whether the transport repeats what is lost by itself."""


@value
class Send:
    """Put these bytes on the wire."""

    flow: FlowLike
    data: bytes
    message: Request | Response


@value
class RequestReceived:
    """A new request began a server transaction."""

    txn: ServerTransaction
    request: Request
    flow: FlowLike


@value
class AckReceived:
    """An ACK for a 2xx (or one that belongs to nothing)."""

    request: Request
    flow: FlowLike


@value
class CancelReceived:
    """An INVITE that has no final response was cancelled; the CANCEL itself is answered already."""

    txn: ServerTransaction
    cancel: Request


@value
class ResponseReceived:
    """A response to a request of ours, repeated and forked 2xx included."""

    txn: ClientTransaction
    response: Response


@value
class TransactionFailed:
    """A request of ours got no final response."""

    txn: ClientTransaction
    kind: Literal["timeout", "transport"]


@value
class AckTimeout:
    """A final response to an INVITE was never acknowledged."""

    txn: ServerTransaction


@value
class TransactionEnded:
    """A transaction is forgotten."""

    txn: ClientTransaction | ServerTransaction


@value
class Anomaly:
    """A peer did something that means nothing; worth a count and a line in the debug log."""

    text: str


Effect: TypeAlias = (
    Send
    | RequestReceived
    | AckReceived
    | CancelReceived
    | ResponseReceived
    | TransactionFailed
    | AckTimeout
    | TransactionEnded
    | Anomaly
)
