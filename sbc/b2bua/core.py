"""What legs need of the endpoint that they live in, as protocols: tests hand in their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from sbc.sip.message import Response
from sbc.sip.transactions import ClientTransaction, ServerTransaction

if TYPE_CHECKING:
    from sbc.b2bua.leg import Leg


class TimerHandle(Protocol):
    """A timer that can be called off."""

    def cancel(self) -> None:
        """Call the timer off; nothing happens when it already ran."""


class Scheduler(Protocol):
    """The part of an event loop that legs use; tests hand in one with virtual time."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> TimerHandle:
        """Run ``callback`` after ``delay`` seconds."""


class UserAgentCore(Protocol):
    """What a leg needs of the SIP endpoint it lives in."""

    scheduler: Scheduler

    def new_tag(self) -> str:
        """Return a fresh, unguessable tag."""

    def respond(self, txn: ServerTransaction, response: Response) -> None:
        """Send a final or provisional response on a server transaction."""

    def respond_until_acked(self, txn: ServerTransaction, response: Response) -> None:
        """Send a 2xx to an INVITE and repeat it until its ACK (RFC 3261 §13.3.1.4)."""

    def acked(self, txn: ServerTransaction) -> None:
        """Stop repeating a 2xx: its ACK arrived."""

    def cancel(self, txn: ClientTransaction, reason: str | None) -> None:
        """CANCEL an INVITE as soon as RFC 3261 §9.1 allows."""

    def attach(self, leg: Leg, call_id: str, local_tag: str) -> None:
        """Deliver in-dialog requests for these identifiers to ``leg``."""

    def detach(self, call_id: str, local_tag: str) -> None:
        """Stop delivering; in-dialog requests get 481 from now on."""
