"""Media ports of one interface: even RTP port, odd RTCP port above it (RFC 3550 §11).

Pure: order and `now` are handed in. A released pair rests before it is used again, so that late packets of the old
call do not reach the new one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, MutableSequence

from sbc.media.errors import NoPortsLeft


class PortPool:
    """The pairs between two ports, both included. `shuffle` makes their order hard to guess."""

    __slots__ = ("_free", "_quarantine_s", "_resting", "size")

    def __init__(
        self, first: int, last: int, quarantine_s: float, shuffle: Callable[[MutableSequence[int]], None]
    ) -> None:
        even = list(range(first + (first & 1), last, 2))
        shuffle(even)
        self._free: deque[int] = deque(even)
        self._resting: deque[tuple[float, int]] = deque()
        self._quarantine_s = quarantine_s
        self.size = len(even)

    @property
    def in_use(self) -> int:
        """How many pairs are taken, resting ones not included."""
        return self.size - len(self._free) - len(self._resting)

    def take(self, now: float) -> int:
        """Take a pair; returns its even port. NoPortsLeft when all are taken or resting."""
        self._wake(now)
        if not self._free:
            raise NoPortsLeft("no ports left")
        return self._free.popleft()

    def release(self, port: int, now: float) -> None:
        """Give a pair back; it rests first."""
        self._resting.append((now + self._quarantine_s, port))

    def _wake(self, now: float) -> None:
        while self._resting and self._resting[0][0] <= now:
            self._free.append(self._resting.popleft()[1])
