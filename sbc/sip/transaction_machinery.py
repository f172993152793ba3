"""What the actions of the transaction tables do: send, tell the user, start and stop timers, forget.

One step looks up a decision and carries its actions out in order; nothing is decided here. Which transaction a message
belongs to is the layer's business (`sbc.sip.transactions`).

RFC 3261 §17; §13.3.1.4 (repeating a 2xx until its ACK).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from sbc.sip.effects import (
    AckReceived,
    AckTimeout,
    Anomaly,
    Effect,
    ResponseReceived,
    Send,
    TransactionFailed,
)
from sbc.sip.message import Request, Response
from sbc.sip.timer_queue import TimerQueue
from sbc.sip.timers import Timer, Timers
from sbc.sip.transaction import ClientTransaction, ServerTransaction, Transaction
from sbc.sip.transaction_messages import ack_for
from sbc.sip.transaction_tables import INVITE_CLIENT, SERVER, STARTS, TIMER_INPUTS, Action, Input, State

Effects: TypeAlias = list[Effect]
Message: TypeAlias = Request | Response | None

_RETRANSMISSION = (Timer.A, Timer.E, Timer.G)
_GIVING_UP = (Timer.B, Timer.C, Timer.F, Timer.H)
_WAITING = (Timer.TRYING, Timer.EXPIRY)


class Machinery:
    """Steps transactions through their tables, and keeps their timers."""

    __slots__ = ("_durations", "_forget", "_t2", "queue")

    def __init__(self, timers: Timers, forget: Callable[[Transaction, Effects], None]) -> None:
        """`forget` is called with each transaction that has ended, after its timers were stopped."""
        self.queue = TimerQueue()
        self._t2 = timers.t2
        self._forget = forget
        self._durations = {
            reliable: {timer: timers.duration(timer, reliable=reliable) for timer in Timer}
            for reliable in (False, True)
        }

    def step(
        self, txn: Transaction, happening: Input, now: float, effects: Effects, message: Message = None
    ) -> None:
        """Look up what happens, move on, and carry the actions out."""
        if txn.state is State.TERMINATED:
            return
        decision = txn.table.get((txn.state, happening))
        if decision is None:
            # The tables are tested to be whole; were one not, a peer must not be able to stop the clock
            effects.append(Anomaly(f"{txn!r} has no rule for {happening.value}"))
            return
        txn.state, actions = decision
        for action in actions:
            _DO[action](self, txn, now, effects, message)
        if txn.state is State.TERMINATED:
            self.queue.stop_all(txn)
            self._forget(txn, effects)

    def start(self, txn: Transaction, timer: Timer, now: float) -> None:
        """Start a timer unless it never runs on the transaction's transport; one of no length ends the transaction."""
        duration = self._durations[txn.flow.reliable][timer]
        if duration is None:
            return
        if timer in _RETRANSMISSION:
            txn.interval = duration
        if duration > 0:
            self.queue.start(txn, timer, now + duration)
        else:
            txn.state = State.TERMINATED  # a reliable transport has nothing to absorb

    def go_off(self, txn: Transaction, timer: Timer, now: float, effects: Effects) -> None:
        """Do what a timer that is due stands for."""
        happening = TIMER_INPUTS.get(timer)
        if happening is not None:
            self.step(txn, happening, now, effects)
        elif isinstance(txn, ServerTransaction) and txn.response is not None:
            if timer is Timer.RETRANSMIT_2XX:
                effects.append(Send(txn.flow, txn.data, txn.response))
                txn.interval = min(2 * txn.interval, self._t2)
                self.queue.start(txn, timer, now + txn.interval)
            else:
                self.queue.stop(txn, Timer.RETRANSMIT_2XX)
                effects.append(AckTimeout(txn))

    def await_ack(self, txn: ServerTransaction, now: float) -> None:
        """Repeat the 2xx that is about to be sent, at T1 and then at intervals doubling to T2, for 64·T1."""
        self.start(txn, Timer.RETRANSMIT_2XX, now)
        self.start(txn, Timer.ACK_WAIT, now)
        txn.interval = self._durations[False][Timer.RETRANSMIT_2XX] or 0.0

    def acked(self, txn: ServerTransaction) -> None:
        """Stop repeating a 2xx, and let go of it and of its request."""
        self.queue.stop(txn, Timer.RETRANSMIT_2XX)
        self.queue.stop(txn, Timer.ACK_WAIT)
        txn.release()
        txn.response, txn.data = None, b""

    # ---- the actions -----------------------------------------------------------------------------------------------

    def to_user(self, txn: Transaction, _now: float, effects: Effects, message: Message) -> None:
        """Hand the message to the transaction user."""
        if isinstance(message, Response):
            if isinstance(txn, ClientTransaction) and txn.seen:
                effects.append(ResponseReceived(txn, message))
        elif message is not None:
            effects.append(AckReceived(message, txn.flow))

    def send(self, txn: Transaction, _now: float, effects: Effects, message: Message) -> None:
        """Send the user's response and remember it."""
        if isinstance(txn, ServerTransaction) and isinstance(message, Response):
            txn.data = message.encode()
            txn.response = message
            effects.append(Send(txn.flow, txn.data, message))
            if txn.table is SERVER and message.status >= 200:
                txn.release()

    def send_100(self, txn: Transaction, now: float, effects: Effects, _message: Message) -> None:
        """Say 100 in the user's stead."""
        self.send(txn, now, effects, txn.request.response(100))

    def resend(self, txn: Transaction, _now: float, effects: Effects, _message: Message) -> None:
        """Send the last message again, if there is one."""
        last = txn.response if isinstance(txn, ServerTransaction) else txn.request
        if last is not None:
            effects.append(Send(txn.flow, txn.data, last))

    def ack(self, txn: Transaction, _now: float, effects: Effects, message: Message) -> None:
        """Acknowledge a final response that is not 2xx."""
        if isinstance(message, Response):
            ack = ack_for(txn.request, message)
            effects.append(Send(txn.flow, ack.encode(), ack))

    def fail_timeout(self, txn: Transaction, _now: float, effects: Effects, _message: Message) -> None:
        """Tell the user that no answer came."""
        if isinstance(txn, ClientTransaction) and txn.seen:
            effects.append(TransactionFailed(txn, "timeout"))

    def fail_transport(self, txn: Transaction, _now: float, effects: Effects, _message: Message) -> None:
        """Tell the user that the transport failed."""
        if isinstance(txn, ClientTransaction) and txn.seen:
            effects.append(TransactionFailed(txn, "transport"))

    def no_ack(self, _txn: Transaction, _now: float, effects: Effects, _message: Message) -> None:
        """Report that a final response was never acknowledged."""
        effects.append(Anomaly("final response never acknowledged"))

    def back_off(self, txn: Transaction, now: float, _effects: Effects, _message: Message) -> None:
        """Start the retransmission timer again: A doubles without end (§17.1.1.2), E and G up to T2."""
        txn.interval *= 2
        if txn.table is INVITE_CLIENT:
            timer = Timer.A
        else:
            timer = Timer.E if isinstance(txn, ClientTransaction) else Timer.G
            txn.interval = min(txn.interval, self._t2)
        self.queue.start(txn, timer, now + txn.interval)

    def slow_down(self, txn: Transaction, now: float, _effects: Effects, _message: Message) -> None:
        """Let timer E run at T2."""
        txn.interval = self._t2
        self.queue.start(txn, Timer.E, now + self._t2)

    def stop_retransmission(
        self, txn: Transaction, _now: float, _effects: Effects, _message: Message
    ) -> None:
        """Stop timers A, E or G, and let go of what they repeat."""
        txn.data = b""
        self._stop(txn, _RETRANSMISSION)

    def stop_giving_up(self, txn: Transaction, _now: float, _effects: Effects, _message: Message) -> None:
        """Stop timers B, C, F or H."""
        self._stop(txn, _GIVING_UP)

    def stop_waiting(self, txn: Transaction, _now: float, _effects: Effects, _message: Message) -> None:
        """Stop waiting for the user's answer."""
        self._stop(txn, _WAITING)

    def report(self, txn: Transaction, _now: float, effects: Effects, message: Message) -> None:
        """Report what means nothing here."""
        what = "a timer" if message is None else message.start_line
        effects.append(Anomaly(f"{txn!r} met out of turn: {what}"))

    def _stop(self, txn: Transaction, timers: tuple[Timer, ...]) -> None:
        running = txn.timers
        if running:
            for timer in timers:
                if timer in running:
                    self.queue.stop(txn, timer)


_Do: TypeAlias = Callable[[Machinery, Transaction, float, Effects, Message], None]


def _starter(timer: Timer) -> _Do:
    def start(
        machinery: Machinery, txn: Transaction, now: float, _effects: Effects, _message: Message
    ) -> None:
        machinery.start(txn, timer, now)

    return start


_DO: dict[Action, _Do] = {
    Action.TO_USER: Machinery.to_user,
    Action.SEND: Machinery.send,
    Action.SEND_100: Machinery.send_100,
    Action.RESEND: Machinery.resend,
    Action.ACK: Machinery.ack,
    Action.FAIL_TIMEOUT: Machinery.fail_timeout,
    Action.FAIL_TRANSPORT: Machinery.fail_transport,
    Action.NO_ACK: Machinery.no_ack,
    Action.BACK_OFF: Machinery.back_off,
    Action.SLOW_DOWN: Machinery.slow_down,
    Action.STOP_RETRANSMISSION: Machinery.stop_retransmission,
    Action.STOP_GIVING_UP: Machinery.stop_giving_up,
    Action.STOP_WAITING: Machinery.stop_waiting,
    Action.REPORT: Machinery.report,
    **{action: _starter(timer) for action, timer in STARTS.items()},
}
