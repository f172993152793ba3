"""The transaction layer: matches messages to transactions and runs their machines (RFC 3261 §9, §17; RFC 6026; RFC 4320).

Pure: messages and `now` (monotonic seconds) in, effects out. The machines are tables (`transaction_tables`); here is what
their actions do. One heap holds every timer of every transaction; a timer that was stopped stays in it and is skipped when it
comes up, so thousands of lingering transactions cost nothing until they end.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from sbc.sip.effects import (
    AckReceived,
    AckTimeout,
    Anomaly,
    CancelReceived,
    Effect,
    FlowLike,
    RequestReceived,
    ResponseReceived,
    Send,
    TransactionEnded,
    TransactionFailed,
)
from sbc.sip.errors import LocalError
from sbc.sip.message import Request, Response
from sbc.sip.timers import Timer, Timers
from sbc.sip.transaction import ClientTransaction, Key, ServerTransaction, Transaction
from sbc.sip.transaction_messages import Nobody, ack_for, retransmission_timer, server_key
from sbc.sip.transaction_tables import (
    CLIENT,
    INVITE_CLIENT,
    INVITE_SERVER,
    SERVER,
    STARTS,
    Action,
    Input,
    State,
)

__all__ = [
    "AckReceived",
    "AckTimeout",
    "Anomaly",
    "CancelReceived",
    "ClientTransaction",
    "Effect",
    "RequestReceived",
    "ResponseReceived",
    "Send",
    "ServerTransaction",
    "TransactionEnded",
    "TransactionFailed",
    "TransactionLayer",
]

_NOBODY = Nobody()
_RETRANSMISSION = (Timer.A, Timer.E, Timer.G)
_GIVING_UP = (Timer.B, Timer.C, Timer.F, Timer.H)
_TIMER_INPUTS = {timer: Input[f"TIMER_{timer.name}"] for timer in Timer if len(timer.value) == 1}


class TransactionLayer:
    """All transactions of an endpoint."""

    def __init__(
        self,
        timers: Timers,
        *,
        branch: Callable[[], str],
        tag: Callable[[], str],
        max_server_transactions: int = 50_000,
    ) -> None:
        """``branch`` and ``tag`` give fresh, unguessable values; beyond the maximum new requests get 503."""
        self._timers = timers
        self._branch = branch
        self._tag = tag
        self._max_servers = max_server_transactions
        self._clients: dict[Key, ClientTransaction] = {}
        self._servers: dict[Key, ServerTransaction] = {}
        self._merges: dict[Key, ServerTransaction] = {}
        self._heap: list[tuple[float, int, Transaction, Timer]] = []
        self._order = count()

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    @property
    def waiting(self) -> int:
        """How many requests of ours have no final response yet."""
        return sum(
            txn.state in (State.CALLING, State.TRYING, State.PROCEEDING) for txn in self._clients.values()
        )

    # ---- messages in -----------------------------------------------------------------------------------------------

    def receive(self, message: Request | Response, flow: FlowLike, now: float) -> list[Effect]:
        """Take a parsed message from ``flow``."""
        effects: list[Effect] = []
        if isinstance(message, Response):
            self._on_response(message, now, effects)
        else:
            self._on_request(message, flow, now, effects)
        return effects

    def _on_response(self, response: Response, now: float, effects: list[Effect]) -> None:
        txn = self._clients.get((response.top_via.branch or "", response.cseq.method))
        if txn is None:
            effects.append(Anomaly(f"{response.status} for no transaction"))
            return
        status = response.status
        if status < 200:
            if not txn.provisional:
                txn.provisional = True
                if txn.cancelled and txn.state in (State.CALLING, State.PROCEEDING):
                    self._send_cancel(txn, now, effects)
            self._step(txn, Input.R1XX, now, effects, response)
        else:
            self._step(txn, Input.R2XX if status < 300 else Input.R3XX_6XX, now, effects, response)

    def _on_request(self, request: Request, flow: FlowLike, now: float, effects: list[Effect]) -> None:
        method = request.method
        key = server_key(request)
        txn = self._servers.get(key)
        if txn is not None:
            self._step(txn, Input.ACK if method == "ACK" else Input.REQUEST, now, effects, request)
        elif method == "ACK":
            effects.append(AckReceived(request, flow))
        elif method == "CANCEL":
            self._on_cancel(request, key, flow, now, effects)
        else:
            self._on_new_request(request, key, flow, now, effects)

    def _on_new_request(
        self, request: Request, key: Key, flow: FlowLike, now: float, effects: list[Effect]
    ) -> None:
        if len(self._servers) >= self._max_servers:
            effects.append(Anomaly("server transactions exhausted"))
            response = request.response(503, to_tag=self._tag(), headers=(("Retry-After", "5"),))
            effects.append(Send(flow, response.encode(), response))
            return
        txn = self._new_server(request, key, flow)
        if request.to.tag is None:
            merge_key = (request.call_id, request.from_.tag or "", str(request.cseq.number), request.method)
            if merge_key in self._merges:
                self._servers[key] = txn
                effects.append(Anomaly("merged request"))
                effects.extend(self.respond(txn, request.response(482, to_tag=self._tag()), now))
                return
            txn.merge_key = merge_key
            self._merges[merge_key] = txn
        self._servers[key] = txn
        if request.method == "INVITE":
            trying = request.response(100)
            txn.response, txn.data = trying, trying.encode()
            effects.append(Send(flow, txn.data, trying))
        effects.append(RequestReceived(txn, request, flow))

    def _on_cancel(
        self, cancel: Request, key: Key, flow: FlowLike, now: float, effects: list[Effect]
    ) -> None:
        """Answer a CANCEL (§9.2) and tell the user of the INVITE, when that has no final response yet."""
        txn = self._new_server(cancel, key, flow)
        self._servers[key] = txn
        invite = self._servers.get((*key[:-1], "INVITE"))
        if invite is None:
            effects.extend(self.respond(txn, cancel.response(481, to_tag=self._tag()), now))
            return
        tag = None if invite.response is None else invite.response.to.tag
        effects.extend(self.respond(txn, cancel.response(200, to_tag=tag or self._tag()), now))
        if invite.state is State.PROCEEDING:
            effects.append(CancelReceived(invite, cancel))

    def _new_server(self, request: Request, key: Key, flow: FlowLike) -> ServerTransaction:
        if request.method == "INVITE":
            return ServerTransaction(key, INVITE_SERVER, State.PROCEEDING, request, flow, None)
        return ServerTransaction(key, SERVER, State.TRYING, request, flow, None)

    # ---- what the user asks for ------------------------------------------------------------------------------------

    def send_request(
        self, request: Request, flow: FlowLike, now: float, *, sent_by: str, user: Any = None
    ) -> tuple[ClientTransaction, list[Effect]]:
        """Start a client transaction: puts our Via on top (``sent_by`` is its host and port) and sends."""
        if request.method == "ACK":
            raise LocalError("an ACK starts no transaction")
        branch = self._branch()
        rport = ";rport" if flow.transport == "UDP" else ""
        request.headers.prepend("Via", f"SIP/2.0/{flow.transport} {sent_by};branch={branch}{rport}")
        return self._start_client(request, branch, flow, now, user)

    def _start_client(
        self, request: Request, branch: str, flow: FlowLike, now: float, user: Any
    ) -> tuple[ClientTransaction, list[Effect]]:
        key = (branch, request.method)
        invite = request.method == "INVITE"
        table, state = (INVITE_CLIENT, State.CALLING) if invite else (CLIENT, State.TRYING)
        txn = ClientTransaction(key, table, state, request, flow, user)
        txn.data = request.encode()
        self._clients[key] = txn
        self._start(txn, Timer.A if invite else Timer.E, now)
        self._start(txn, Timer.B if invite else Timer.F, now)
        return txn, [Send(flow, txn.data, request)]

    def respond(self, txn: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Send a response on a server transaction; one that comes too late is reported and not sent."""
        effects: list[Effect] = []
        status = response.status
        happening = Input.SEND_1XX if status < 200 else Input.SEND_2XX if status < 300 else Input.SEND_3XX_6XX
        self._step(txn, happening, now, effects, response)
        return effects

    def respond_until_acked(self, txn: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Send a 2xx to an INVITE and repeat it, on every transport, until `ack_received` (§13.3.1.4).

        After 64·T1 without ACK an `AckTimeout` comes.
        """
        effects = self.respond(txn, response, now)
        if txn.state is State.ACCEPTED:
            txn.intervals = self._timers.t1
            self._start(txn, Timer.RETRANSMIT_2XX, now)
            self._start(txn, Timer.ACK_WAIT, now)
        return effects

    def ack_received(self, txn: ServerTransaction) -> None:
        """Stop repeating a 2xx."""
        txn.timers.pop(Timer.RETRANSMIT_2XX, None)
        txn.timers.pop(Timer.ACK_WAIT, None)
        txn.release()
        txn.response, txn.data = None, b""

    def cancel(self, txn: ClientTransaction, now: float, reason: str | None = None) -> list[Effect]:
        """CANCEL an INVITE: at once when a 1xx came, else as soon as one comes (§9.1); nothing after a final response.

        ``reason`` becomes a Reason header (RFC 3326). Without a final response within 64·T1 the INVITE fails.
        """
        effects: list[Effect] = []
        if txn.cancelled or txn.state not in (State.CALLING, State.PROCEEDING):
            return effects
        txn.cancelled, txn.cancel_reason = True, reason
        if txn.provisional:
            self._send_cancel(txn, now, effects)
        return effects

    def _send_cancel(self, txn: ClientTransaction, now: float, effects: list[Effect]) -> None:
        invite = txn.request
        headers = [("Via", invite.vias[0]), ("Max-Forwards", "70")]
        headers += [("Route", route) for route in invite.headers.lines("Route")]
        headers += [(name, invite.headers.first(name) or "") for name in ("From", "To", "Call-ID")]
        headers.append(("CSeq", f"{invite.cseq.number} CANCEL"))
        if txn.cancel_reason:
            headers.append(("Reason", txn.cancel_reason))
        cancel = Request("CANCEL", invite.uri, headers)
        effects.extend(self._start_client(cancel, txn.key[0], txn.flow, now, _NOBODY)[1])
        self._start(txn, Timer.C, now)

    def flow_failed(self, flow: FlowLike, now: float) -> list[Effect]:
        """Tell every transaction that waits on ``flow`` that it failed."""
        effects: list[Effect] = []
        waiting: list[Transaction] = [txn for txn in self._clients.values() if txn.flow is flow]
        waiting += [txn for txn in self._servers.values() if txn.flow is flow]
        for txn in waiting:
            self._step(txn, Input.TRANSPORT_ERROR, now, effects, None)
        return effects

    # ---- time ------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """Return when `handle_timers` is to be called next; ``None`` when nothing waits."""
        heap = self._heap
        while heap:
            due, _, txn, timer = heap[0]
            if txn.timers.get(timer) == due:
                return due
            heapq.heappop(heap)
        return None

    def handle_timers(self, now: float) -> list[Effect]:
        """Let every timer that is due go off."""
        effects: list[Effect] = []
        heap = self._heap
        while heap and heap[0][0] <= now:
            due, _, txn, timer = heapq.heappop(heap)
            if txn.timers.get(timer) != due:
                continue  # stopped or started anew since
            del txn.timers[timer]
            if timer is Timer.RETRANSMIT_2XX:
                self._repeat_2xx(txn, now, effects)
            elif timer is Timer.ACK_WAIT:
                assert isinstance(txn, ServerTransaction)
                effects.append(AckTimeout(txn))
                txn.timers.pop(Timer.RETRANSMIT_2XX, None)
            else:
                self._step(txn, _TIMER_INPUTS[timer], now, effects, None)
        return effects

    def _repeat_2xx(self, txn: Transaction, now: float, effects: list[Effect]) -> None:
        assert isinstance(txn, ServerTransaction) and txn.response is not None
        effects.append(Send(txn.flow, txn.data, txn.response))
        txn.intervals = min(2 * txn.intervals, self._timers.t2)
        self._schedule(txn, Timer.RETRANSMIT_2XX, now + txn.intervals)

    def _start(self, txn: Transaction, timer: Timer, now: float) -> float | None:
        """Start a timer; returns its duration, ``None`` when it never runs on this transport."""
        duration = self._timers.duration(timer, reliable=txn.flow.reliable)
        if duration is not None:
            if timer in _RETRANSMISSION:
                txn.intervals = duration
            if duration > 0:
                self._schedule(txn, timer, now + duration)
        return duration

    def _schedule(self, txn: Transaction, timer: Timer, due: float) -> None:
        txn.timers[timer] = due
        heapq.heappush(self._heap, (due, next(self._order), txn, timer))

    # ---- the machines ----------------------------------------------------------------------------------------------

    def _step(
        self,
        txn: Transaction,
        happening: Input,
        now: float,
        effects: list[Effect],
        message: Request | Response | None,
    ) -> None:
        """Look up what happens, move on, and carry the actions out."""
        if txn.state is State.TERMINATED:
            return
        decision = txn.table.get((txn.state, happening))
        if (
            decision is None
        ):  # the tables are tested to be whole; were one not, a peer must not be able to stop the clock
            effects.append(Anomaly(f"{txn!r} has no rule for {happening.value}"))
            return
        txn.state, actions = decision
        for action in actions:
            if action in STARTS:
                if self._start(txn, STARTS[action], now) == 0:
                    txn.state = State.TERMINATED  # a reliable transport has nothing to absorb
            else:
                self._do(action, txn, now, effects, message)
        if txn.state is State.TERMINATED:
            self._forget(txn, effects)

    def _do(  # noqa: C901 - one branch for each action is the clearest form of a dispatch
        self,
        action: Action,
        txn: Transaction,
        now: float,
        effects: list[Effect],
        message: Request | Response | None,
    ) -> None:
        match action:
            case Action.TO_USER:
                if isinstance(txn, ClientTransaction):
                    assert isinstance(message, Response)
                    effects.append(ResponseReceived(txn, message))
                else:
                    assert isinstance(message, Request)
                    effects.append(AckReceived(message, txn.flow))
            case Action.SEND:
                assert isinstance(txn, ServerTransaction) and isinstance(message, Response)
                txn.response, txn.data = message, message.encode()
                effects.append(Send(txn.flow, txn.data, message))
                if txn.table is SERVER and message.status >= 200:
                    txn.release()
            case Action.RESEND:
                if txn.data:
                    last = txn.response if isinstance(txn, ServerTransaction) else txn.request
                    assert last is not None
                    effects.append(Send(txn.flow, txn.data, last))
            case Action.ACK:
                assert isinstance(message, Response)
                ack = ack_for(txn.request, message)
                effects.append(Send(txn.flow, ack.encode(), ack))
            case Action.FAIL_TIMEOUT | Action.FAIL_TRANSPORT:
                assert isinstance(txn, ClientTransaction)
                effects.append(
                    TransactionFailed(txn, "timeout" if action is Action.FAIL_TIMEOUT else "transport")
                )
            case Action.NO_ACK:
                effects.append(Anomaly("final response never acknowledged"))
            case Action.BACK_OFF:
                txn.intervals *= 2
                if txn.table is not INVITE_CLIENT:
                    txn.intervals = min(txn.intervals, self._timers.t2)  # timer A alone doubles without end
                self._schedule(txn, retransmission_timer(txn), now + txn.intervals)
            case Action.SLOW_DOWN:
                if not txn.flow.reliable:
                    txn.intervals = self._timers.t2
                    self._schedule(txn, Timer.E, now + txn.intervals)
            case Action.STOP_RETRANSMISSION:
                for timer in _RETRANSMISSION:
                    txn.timers.pop(timer, None)
            case Action.STOP_GIVING_UP:
                for timer in _GIVING_UP:
                    txn.timers.pop(timer, None)
            case Action.REPORT:
                effects.append(Anomaly(f"{txn!r} met something out of turn"))

    def _forget(self, txn: Transaction, effects: list[Effect]) -> None:
        if Timer.ACK_WAIT in txn.timers and isinstance(txn, ServerTransaction):
            effects.append(AckTimeout(txn))  # timer L runs out in the same instant, and must not swallow it
        txn.timers.clear()
        if isinstance(txn, ClientTransaction):
            self._clients.pop(txn.key, None)
            effects.append(TransactionEnded(txn))
        elif isinstance(txn, ServerTransaction):
            self._servers.pop(txn.key, None)
            if txn.merge_key is not None:
                self._merges.pop(txn.merge_key, None)
            effects.append(TransactionEnded(txn))
