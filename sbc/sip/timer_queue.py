"""Every running timer of every transaction in one heap.

A timer that is stopped stays in the heap but lets go of its transaction at once, and the heap is swept when most of it is
stopped timers: thousands of lingering transactions cost nothing until they are due, and ended ones leave nothing behind.

No RFC speaks here; what the timers mean is said in `sbc.sip.timers`.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from sbc.sip.timers import Timer

if TYPE_CHECKING:
    from sbc.sip.transaction import Transaction

_SWEEP_MIN = 512  # below this many stopped timers a sweep is not worth its while


class Alarm:
    """One start of one timer; `txn` is `None` once it was stopped."""

    __slots__ = ("timer", "txn")

    def __init__(self, txn: Transaction, timer: Timer) -> None:
        self.txn: Transaction | None = txn
        self.timer = timer


class TimerQueue:
    """Starts and stops timers of transactions, and says which are due."""

    __slots__ = ("_heap", "_order", "_stopped")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Alarm]] = []
        self._order = 0
        self._stopped = 0

    def __len__(self) -> int:
        """How many entries are held, stopped ones included."""
        return len(self._heap)

    def start(self, txn: Transaction, timer: Timer, due: float) -> None:
        """Start a timer, or start it anew. Of timers due at the same instant the first started goes off first."""
        timers = txn.timers
        if timer in timers:
            self.stop(txn, timer)
        timers[timer] = alarm = Alarm(txn, timer)
        self._order = order = self._order + 1
        heapq.heappush(self._heap, (due, order, alarm))

    def stop(self, txn: Transaction, timer: Timer) -> None:
        """Stop a timer; one that does not run is no error."""
        alarm = txn.timers.pop(timer, None)
        if alarm is not None:
            alarm.txn = None
            self._stopped += 1
            if self._stopped > _SWEEP_MIN and 2 * self._stopped > len(self._heap):
                self._sweep()

    def stop_all(self, txn: Transaction) -> None:
        """Stop every timer of a transaction."""
        for timer in tuple(txn.timers):
            self.stop(txn, timer)

    def next_due(self) -> float | None:
        """Return when the next timer is due; `None` when none runs."""
        heap = self._heap
        while heap:
            due, _, alarm = heap[0]
            if alarm.txn is not None:
                return due
            heapq.heappop(heap)
            self._stopped -= 1
        return None

    def pop_due(self, now: float) -> tuple[Transaction, Timer] | None:
        """Take out the next timer that is due by `now`; `None` when there is none."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            alarm = heapq.heappop(heap)[2]
            txn, timer = alarm.txn, alarm.timer
            if txn is None:
                self._stopped -= 1
                continue
            del txn.timers[timer]
            return txn, timer
        return None

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if entry[2].txn is not None]
        heapq.heapify(self._heap)
        self._stopped = 0
