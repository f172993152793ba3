"""The SIP endpoint: where sockets, the transaction core and the users of both meet.

It owns the one timer of the transaction layer, executes the layer's effects, finds the leg that an in-dialog request belongs to
(by Call-ID and our own tag, never by connection) and answers by itself what no call has to do with: OPTIONS, strays, faults.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from config.trunks import Target
from sbc.b2bua.core import Scheduler
from sbc.b2bua.leg import Leg
from sbc.b2bua.path import Receiver
from sbc.connector import Connector, Failed, Use
from sbc.sip.auth import DigestClient
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.timers import Timers
from sbc.sip.transactions import (
    AckReceived,
    AckTimeout,
    Anomaly,
    CancelReceived,
    ClientTransaction,
    Effect,
    RequestReceived,
    ResponseReceived,
    Send,
    ServerTransaction,
    TransactionEnded,
    TransactionFailed,
    TransactionLayer,
)
from sbc.sip.uri import Uri
from sbc.transport import Flow
from sbc.trunks.trunk import Trunk

log = logging.getLogger(__name__)


class MessageCounter(Protocol):
    """Counts what passes, for metrics; must be cheap."""

    def received(self, message: Request | Response) -> None:
        """Count a parsed message from a peer."""

    def sent(self, message: Request | Response) -> None:
        """Count a message to a peer, repetitions included."""

    def malformed(self, error: ParseError) -> None:
        """Count a message that could not be accepted."""


class CallTaker(Protocol):
    """Who takes what arrives outside of dialogs."""

    def on_invite(self, txn: ServerTransaction, request: Request, flow: Flow, trunk: Trunk) -> None:
        """Take an INVITE outside of any dialog, already known to come from ``trunk``."""

    def refuses_new_calls(self) -> int | None:
        """Return the Retry-After seconds to say while no calls are taken, or ``None``."""


class Endpoint:
    """One node's SIP endpoint."""

    def __init__(
        self,
        trunks: dict[str, Trunk],
        loop: Loop,
        timers: Timers,
        counter: MessageCounter,
        *,
        max_transactions: int,
    ) -> None:
        self.scheduler: Scheduler = loop
        self.connector: Connector
        """Set by the service once the sockets exist."""
        self.trunks = trunks
        self.taker: CallTaker
        self._loop = loop
        self._counter = counter
        self._legs: dict[tuple[str, str], Leg] = {}
        self._timer: Handle | None = None
        self._timer_at = 0.0
        self.layer = TransactionLayer(
            timers, branch=new_branch, tag=new_tag, max_server_transactions=max_transactions
        )

    # ---- from the wire ---------------------------------------------------------------------------------------------

    def on_message(self, message: Request | Response, flow: Flow) -> None:
        """Take a parsed message from a connection whose trunk is known."""
        self._counter.received(message)
        self._run(self.layer.receive(message, flow, self._loop.time()))

    def on_parse_error(self, error: ParseError, flow: Flow) -> None:
        """Answer a message that could not be accepted, when enough of it could be read."""
        self._counter.malformed(error)
        request = error.request
        if request is not None and request.method != "ACK":
            response = request.response(error.status, error.reason, to_tag=new_tag())
            with contextlib.suppress(ParseError):  # its CSeq may be the very fault
                self._counter.sent(response)
            flow.send(response.encode())

    def on_flow_closed(self, flow: Flow, _reason: str) -> None:
        """Fail what still waits for an answer on a connection that is gone."""
        self._run(self.layer.flow_failed(flow, self._loop.time()))

    def _run(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._counter.sent(effect.message)
                cast("Flow", effect.flow).send(effect.data)
            elif isinstance(effect, ResponseReceived):
                effect.txn.user.on_response(effect.response)
            elif isinstance(effect, RequestReceived):
                self._on_request(effect.txn, effect.request, cast("Flow", effect.flow))
            elif isinstance(effect, AckReceived):
                self._on_ack(effect.request)
            elif isinstance(effect, TransactionEnded):
                continue
            elif isinstance(effect, TransactionFailed):
                effect.txn.user.on_failure(effect.kind)
            elif isinstance(effect, CancelReceived):
                if effect.txn.user is not None:
                    effect.txn.user.on_cancel(effect.txn, effect.cancel)
            elif isinstance(effect, AckTimeout):
                if effect.txn.user is not None:
                    effect.txn.user.on_ack_timeout(effect.txn)
            elif isinstance(effect, Anomaly):
                log.debug("sip anomaly", extra={"detail": effect.text})
        self._arm()

    def _arm(self) -> None:
        due = self.layer.next_timer()
        if due is None:
            return
        if self._timer is not None:
            if self._timer_at <= due:
                return
            self._timer.cancel()
        self._timer_at = due
        self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._run(self.layer.handle_timers(self._loop.time()))

    # ---- requests --------------------------------------------------------------------------------------------------

    def _on_request(self, txn: ServerTransaction, request: Request, flow: Flow) -> None:
        trunk = self.trunks.get(flow.trunk or "")
        tag = request.to.tag
        if tag is not None:
            leg = self._legs.get((request.call_id, tag))
            if leg is None:
                self.respond(txn, request.response(481))
            else:
                leg.on_request(txn, request)
        elif trunk is None:
            self.respond(txn, request.response(403, to_tag=new_tag()))
        elif request.method == "INVITE":
            self.taker.on_invite(txn, request, flow, trunk)
        elif request.method == "OPTIONS":
            self._on_options(txn, request, flow, trunk)
        elif request.method in ("BYE", "UPDATE", "INFO", "PRACK", "NOTIFY"):
            self.respond(txn, request.response(481, to_tag=new_tag()))  # these live in dialogs only
        else:
            self.respond(txn, request.response(405, to_tag=new_tag(), headers=trunk.profile.capabilities))

    def _on_options(self, txn: ServerTransaction, request: Request, flow: Flow, trunk: Trunk) -> None:
        """Answer a health check: 200 with our name and abilities, or 503 while draining (Direct Routing, OPTIONS)."""
        retry_after_s = self.taker.refuses_new_calls()
        if retry_after_s is not None:
            headers: tuple[tuple[str, str], ...] = (("Retry-After", str(retry_after_s)),)
            self.respond(txn, request.response(503, "Draining", to_tag=new_tag(), headers=headers))
            return
        headers = (
            ("Contact", trunk.contact(flow, "")),
            *trunk.profile.capabilities,
            ("Accept", "application/sdp"),
            ("Accept-Language", "en"),
        )
        self.respond(txn, request.response(200, to_tag=new_tag(), headers=headers))

    def _on_ack(self, request: Request) -> None:
        leg = self._legs.get((request.call_id, request.to.tag or ""))
        if leg is not None:
            leg.on_ack(request)

    # ---- what legs ask for -----------------------------------------------------------------------------------------

    def new_tag(self) -> str:
        """Return a fresh tag (RFC 3261 §19.3)."""
        return new_tag()

    def new_call_id(self) -> str:
        """Return a fresh Call-ID; it tells nothing about us."""
        return secrets.token_hex(16)

    def respond(self, txn: ServerTransaction, response: Response) -> None:
        """Send a response on a server transaction."""
        self._run(self.layer.respond(txn, response, self._loop.time()))

    def respond_until_acked(self, txn: ServerTransaction, response: Response) -> None:
        """Send a 2xx to an INVITE and repeat it until its ACK."""
        self._run(self.layer.respond_until_acked(txn, response, self._loop.time()))

    def acked(self, txn: ServerTransaction) -> None:
        """Stop repeating a 2xx."""
        self.layer.ack_received(txn)

    def cancel(self, txn: ClientTransaction, reason: str | None) -> None:
        """CANCEL an INVITE."""
        self._run(self.layer.cancel(txn, self._loop.time(), reason))

    def send_request(self, request: Request, flow: Flow, trunk: Trunk, user: Receiver) -> ClientTransaction:
        """Start a client transaction on ``flow``."""
        txn, effects = self.layer.send_request(
            request, flow, self._loop.time(), sent_by=trunk.sent_by(flow), user=user
        )
        self._run(effects)
        return txn

    def send_stateless(self, request: Request, flow: Flow, trunk: Trunk) -> None:
        """Send the ACK for a 2xx: a request of its own that no transaction guards (RFC 3261 §13.2.2.4)."""
        via = f"SIP/2.0/{flow.transport} {trunk.sent_by(flow)};branch={new_branch()}"
        request.headers.prepend("Via", via + (";rport" if flow.transport == "UDP" else ""))
        self._counter.sent(request)
        flow.send(request.encode())

    def with_flow(self, trunk: Trunk, next_hop: Uri, use: Use, failed: Failed) -> None:
        """Find or dial a connection towards a dialog's next hop."""
        self.connector.with_next_hop(trunk, next_hop, use, failed)

    def with_target(self, trunk: Trunk, target: Target, use: Use, failed: Failed) -> None:
        """Find or dial a connection to a trunk's target."""
        self.connector.with_target(trunk, target, use, failed)

    def contact(self, trunk: Trunk, flow: Flow, user: str) -> str:
        """Return our Contact value on ``trunk``."""
        return trunk.contact(flow, user)

    def digest(self, trunk: Trunk) -> DigestClient | None:
        """Return a digest client when the trunk has credentials."""
        return trunk.digest_client()

    def attach(self, leg: Leg, call_id: str, local_tag: str) -> None:
        """Deliver in-dialog requests to ``leg``."""
        self._legs[call_id, local_tag] = leg

    def detach(self, call_id: str, local_tag: str) -> None:
        """Deliver no more."""
        self._legs.pop((call_id, local_tag), None)

    @property
    def waiting(self) -> int:
        """How many requests of ours wait for a final response."""
        return self.layer.waiting

    @property
    def dialogs(self) -> int:
        """How many dialogs are known."""
        return len(self._legs)


class Handle(Protocol):
    """A timer of the loop."""

    def cancel(self) -> None:
        """Call it off."""


class Loop(Protocol):
    """The part of an event loop that the endpoint uses; tests hand in one with virtual time."""

    def time(self) -> float:
        """Monotonic seconds."""

    def call_at(self, when: float, callback: Callable[[], object], /) -> Handle:
        """Run ``callback`` at ``when``."""

    def call_later(self, delay: float, callback: Callable[[], object], /) -> Handle:
        """Run ``callback`` after ``delay`` seconds."""


def new_branch() -> str:
    """Return a fresh branch with RFC 3261's magic cookie (§8.1.1.7)."""
    return "z9hG4bK" + secrets.token_hex(10)


def new_tag() -> str:
    """Return a fresh tag with more than the 32 random bits that RFC 3261 §19.3 asks for."""
    return secrets.token_hex(8)
