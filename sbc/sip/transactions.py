"""The transaction layer: matches messages to transactions and lets their machines run.

Pure: messages and `now` (monotonic seconds) in, effects out. The machines are tables (`transaction_tables`), their actions
are in `transaction_machinery`. Not here: the ACK for a 2xx (the dialog's) and where a response goes when its connection is
gone (the transport's).

RFC 3261 §8.2.2.2 (merged requests), §9 (CANCEL), §13.3.1.4 (repeating a 2xx), §17; RFC 4320; RFC 6026.
"""

from __future__ import annotations

from collections.abc import Callable
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
from sbc.sip.transaction_machinery import Machinery
from sbc.sip.transaction_messages import cancel_for, merge_key, server_key
from sbc.sip.transaction_tables import Input, State

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

_UNANSWERED = (State.CALLING, State.TRYING, State.PROCEEDING)
_RETRY_AFTER_S = 5  # how long a peer that met our limit is asked to wait


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
        """`branch` and `tag` give fresh, unguessable values.

        From `max_server_transactions` on new requests get 503 and raise no event; a quarter more is kept for requests inside
        dialogs and CANCEL, so that calls can be ended under load.
        """
        self._branch = branch
        self._tag = tag
        self._max_servers = max_server_transactions
        self._clients: dict[Key, ClientTransaction] = {}
        self._servers: dict[Key, ServerTransaction] = {}
        self._merges: dict[Key, ServerTransaction] = {}
        self._flows: dict[FlowLike, dict[Transaction, None]] = {}
        self._machinery = Machinery(timers, self._forget)
        self._step = self._machinery.step  # looked up once: it runs for every message

    def __len__(self) -> int:
        return len(self._clients) + len(self._servers)

    @property
    def waiting(self) -> int:
        """How many requests of ours have no final response yet."""
        return sum(txn.state in _UNANSWERED for txn in self._clients.values())

    # ---- messages in -----------------------------------------------------------------------------------------------

    def receive(self, message: Request | Response, flow: FlowLike, now: float) -> list[Effect]:
        """Take a parsed message from `flow`."""
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
        if status >= 200:
            self._step(txn, Input.R2XX if status < 300 else Input.R3XX_6XX, now, effects, response)
            return
        self._step(txn, Input.R1XX, now, effects, response)
        if not txn.provisional:
            txn.provisional = True
            if txn.cancelled and txn.state is State.PROCEEDING:
                self._send_cancel(txn, now, effects)

    def _on_request(self, request: Request, flow: FlowLike, now: float, effects: list[Effect]) -> None:
        method = request.method
        key = server_key(request)
        txn = self._servers.get(key)
        if txn is not None:
            if txn.flow_lost and method != "ACK":
                self._adopt(txn, flow)
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
        in_dialog = request.to.tag is not None
        if self._is_full(in_dialog=in_dialog):
            effects.append(Anomaly("overload: too many server transactions"))
            headers = (("Retry-After", str(_RETRY_AFTER_S)),)
            response = request.response(503, to_tag=self._tag(), headers=headers)
            effects.append(Send(flow, response.encode(), response))
            return
        txn = ServerTransaction(key, request, flow)
        if not in_dialog and self._is_merged(txn):
            txn.seen = False
            self._hold(txn)
            effects.append(Anomaly("merged request"))
            self._step(txn, Input.SEND_3XX_6XX, now, effects, request.response(482, to_tag=self._tag()))
            return
        self._hold(txn)
        if txn.is_invite:
            trying = request.response(100)
            txn.response, txn.data = trying, trying.encode()
            effects.append(Send(flow, txn.data, trying))
        else:
            self._machinery.start(txn, Timer.TRYING, now)
        effects.append(RequestReceived(txn, request, flow))

    def _is_full(self, *, in_dialog: bool) -> bool:
        limit = self._max_servers
        return len(self._servers) >= (limit + limit // 4 if in_dialog else limit)

    def _is_merged(self, txn: ServerTransaction) -> bool:
        """Tell whether a request outside of dialogs is here already by another path (§8.2.2.2); else note it."""
        key = merge_key(txn.request)
        other = self._merges.get(key)
        if other is not None and other.state is not State.CONFIRMED:
            return True
        txn.merge_key = key
        self._merges[key] = txn
        return False

    def _on_cancel(
        self, cancel: Request, key: Key, flow: FlowLike, now: float, effects: list[Effect]
    ) -> None:
        """Answer a CANCEL (§9.2) and tell the user of the INVITE, when that has no final response yet."""
        invite = self._servers.get((*key[:-1], "INVITE"))
        if invite is None:
            response = cancel.response(481, to_tag=self._tag())
        else:
            tag = None if invite.response is None else invite.response.to.tag
            response = cancel.response(200, to_tag=tag or self._tag())
        if self._is_full(in_dialog=True):
            effects.append(Send(flow, response.encode(), response))
        else:
            txn = ServerTransaction(key, cancel, flow)
            txn.seen = False
            self._hold(txn)
            self._step(txn, Input.SEND_2XX if invite else Input.SEND_3XX_6XX, now, effects, response)
        if invite is not None and invite.state is State.PROCEEDING:
            effects.append(CancelReceived(invite, cancel))

    # ---- what the user asks for ------------------------------------------------------------------------------------

    def send_request(
        self, request: Request, flow: FlowLike, now: float, *, sent_by: str, user: Any = None
    ) -> tuple[ClientTransaction, list[Effect]]:
        """Start a client transaction: puts our Via on top (`sent_by` is its host and port) and sends.

        Raises LocalError for ACK, which starts no transaction, and CANCEL, which `cancel` sends.
        """
        if request.method in ("ACK", "CANCEL"):
            raise LocalError(f"{request.method} starts no transaction of its own")
        branch = self._branch()
        rport = ";rport" if flow.transport == "UDP" else ""
        request.headers.prepend("Via", f"SIP/2.0/{flow.transport} {sent_by};branch={branch}{rport}")
        txn = ClientTransaction((branch, request.method), request, flow, user)
        return txn, [self._start_client(txn, now)]

    def _start_client(self, txn: ClientTransaction, now: float) -> Send:
        txn.data = txn.request.encode()
        self._hold(txn)
        start = self._machinery.start
        start(txn, Timer.A if txn.is_invite else Timer.E, now)
        start(txn, Timer.B if txn.is_invite else Timer.F, now)
        return Send(txn.flow, txn.data, txn.request)

    def respond(self, txn: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Send a response on a server transaction.

        One that comes too late is reported and not sent, and so is what RFC 4320 §4 forbids for requests that are not INVITE:
        408, and 1xx other than 100. Such a transaction ends by itself when its client has given up.
        """
        status = response.status
        if txn.state is State.TERMINATED:
            return [Anomaly(f"{txn!r} is over: {status} came too late")]
        if not txn.is_invite and (status == 408 or 100 < status < 200):
            return [Anomaly(f"{txn!r}: {status} withheld")]
        effects: list[Effect] = []
        happening = Input.SEND_1XX if status < 200 else Input.SEND_2XX if status < 300 else Input.SEND_3XX_6XX
        self._step(txn, happening, now, effects, response)
        return effects

    def respond_until_acked(self, txn: ServerTransaction, response: Response, now: float) -> list[Effect]:
        """Send a 2xx to an INVITE and repeat it, on every transport, until `ack_received` (§13.3.1.4).

        After 64·T1 without ACK an `AckTimeout` comes. Raises LocalError for anything but a 2xx to an INVITE.
        """
        if not txn.is_invite or not 200 <= response.status < 300:
            raise LocalError("only a 2xx to an INVITE is repeated until its ACK")
        if txn.state is State.PROCEEDING:
            # Before timer L, which is due in the same instant and must not swallow the AckTimeout
            self._machinery.await_ack(txn, now)
        return self.respond(txn, response, now)

    def ack_received(self, txn: ServerTransaction) -> None:
        """Stop repeating a 2xx."""
        self._machinery.acked(txn)

    def cancel(self, txn: ClientTransaction, now: float, reason: str | None = None) -> list[Effect]:
        """CANCEL an INVITE: at once when a 1xx came, else as soon as one comes (§9.1); nothing after a final response.

        `reason` becomes a Reason header (RFC 3326). Without a final response within 64·T1 the INVITE fails. Raises LocalError
        for other requests, which cannot be cancelled.
        """
        if not txn.is_invite:
            raise LocalError("only an INVITE can be cancelled")
        effects: list[Effect] = []
        if not txn.cancelled and txn.state in _UNANSWERED:
            txn.cancelled, txn.cancel_reason = True, reason
            if txn.provisional:
                self._send_cancel(txn, now, effects)
        return effects

    def _send_cancel(self, invite: ClientTransaction, now: float, effects: list[Effect]) -> None:
        request = cancel_for(invite.request, invite.cancel_reason)
        txn = ClientTransaction((invite.key[0], "CANCEL"), request, invite.flow, None)
        txn.seen = False  # its answers tell the user nothing, the INVITE's final response does
        effects.append(self._start_client(txn, now))
        self._machinery.start(invite, Timer.C, now)

    def flow_failed(self, flow: FlowLike, now: float) -> list[Effect]:
        """Fail every request of ours that waits on `flow`; requests of the peer's wait for another connection."""
        effects: list[Effect] = []
        for txn in self._flows.pop(flow, ()):
            if isinstance(txn, ServerTransaction):
                txn.flow_lost = True
            self._step(txn, Input.TRANSPORT_ERROR, now, effects)
        return effects

    # ---- time ------------------------------------------------------------------------------------------------------

    def next_timer(self) -> float | None:
        """Return when `handle_timers` is to be called next; `None` when nothing waits."""
        return self._machinery.queue.next_due()

    def handle_timers(self, now: float) -> list[Effect]:
        """Let every timer that is due go off."""
        effects: list[Effect] = []
        pop_due, go_off = self._machinery.queue.pop_due, self._machinery.go_off
        while (due := pop_due(now)) is not None:
            go_off(*due, now, effects)
        return effects

    # ---- the tables of transactions --------------------------------------------------------------------------------

    def _hold(self, txn: ClientTransaction | ServerTransaction) -> None:
        if isinstance(txn, ClientTransaction):
            self._clients[txn.key] = txn
        else:
            self._servers[txn.key] = txn
        self._index(txn)

    def _index(self, txn: Transaction) -> None:
        on_flow = self._flows.get(txn.flow)
        if on_flow is None:
            on_flow = self._flows[txn.flow] = {}
        on_flow[txn] = None

    def _adopt(self, txn: ServerTransaction, flow: FlowLike) -> None:
        """Send responses where a repeat of the request came from, since its own connection is gone (§18.2.2)."""
        txn.flow, txn.flow_lost = flow, False
        self._index(txn)

    def _forget(self, txn: Transaction, effects: list[Effect]) -> None:
        on_flow = self._flows.get(txn.flow)
        if on_flow is not None:
            on_flow.pop(txn, None)
            if not on_flow:
                del self._flows[txn.flow]
        if isinstance(txn, ServerTransaction):
            self._servers.pop(txn.key, None)
            merged = txn.merge_key
            if merged is not None and self._merges.get(merged) is txn:
                del self._merges[merged]
            if txn.seen:
                effects.append(TransactionEnded(txn))
        elif isinstance(txn, ClientTransaction):
            self._clients.pop(txn.key, None)
            if txn.seen:
                effects.append(TransactionEnded(txn))
