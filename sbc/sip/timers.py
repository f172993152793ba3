"""Transaction timers A to M as one immutable value, and what follows from it.

All values are seconds. A reliable transport has no retransmissions to send or absorb: A, E and G never run there, D, I, J and
K are zero.

RFC 3261 §17 and appendix A; RFC 6026 §7 and §8 (L, M); RFC 4320 §4.1 (100 to a request that is not INVITE).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from sbc.sip.errors import LocalError


class Timer(enum.Enum):
    """A transaction timer by its RFC name; those without a letter are described where they stand."""

    __hash__ = object.__hash__  # members are single objects; Enum's own hash is slow Python

    A = "A"  # INVITE client: retransmit the request
    B = "B"  # INVITE client: give up
    C = "C"  # our CANCEL was not followed by a final response (§9.1)
    D = "D"  # INVITE client: absorb repeated final responses
    E = "E"  # client: retransmit the request
    F = "F"  # client: give up
    G = "G"  # INVITE server: retransmit the final response
    H = "H"  # INVITE server: no ACK came
    I = "I"  # noqa: E741 - INVITE server: absorb repeated ACKs; the RFC's name
    J = "J"  # server: absorb repeated requests
    K = "K"  # client: absorb repeated responses
    L = "L"  # INVITE server: how long an accepted INVITE is remembered (RFC 6026)
    M = "M"  # INVITE client: how long 2xx responses of other forks are taken (RFC 6026)
    TRYING = "100"  # server: the user has not answered yet, say so (RFC 4320 §4.1)
    EXPIRY = "expiry"  # server: the client has given up, an answer would come too late (RFC 4320 §4.2)
    RETRANSMIT_2XX = "2xx"  # INVITE server: the user's 2xx is repeated (§13.3.1.4)
    ACK_WAIT = "ack"  # INVITE server: the user's 2xx is not acknowledged (§13.3.1.4)


@dataclass(frozen=True, slots=True)
class Timers:
    """The base values and what follows from them; raises LocalError unless 0 < T1 ≤ T2 and 0 ≤ T4."""

    t1: float = 0.5
    """Round-trip estimate."""
    t2: float = 4.0
    """Longest retransmission interval."""
    t4: float = 5.0
    """How long a message stays in the network."""

    def __post_init__(self) -> None:
        if not (0 < self.t1 <= self.t2 and self.t4 >= 0):
            raise LocalError(f"not usable as timers: {self!r}")

    @property
    def lifetime(self) -> float:
        """64·T1: how long a transaction is tried (timers B, C, F, H, L, M and, unreliable, J)."""
        return 64 * self.t1

    @property
    def patience(self) -> float:
        """How long a client repeats a request before its interval is T2: until then no 100 is owed."""
        waited, interval = 0.0, self.t1
        while interval < self.t2:
            waited += interval
            interval *= 2
        return waited or self.t1

    def duration(self, timer: Timer, *, reliable: bool) -> float | None:
        """Return the first duration of a timer; `None` when it never runs on such a transport."""
        match timer:
            case Timer.A | Timer.E | Timer.G:
                return None if reliable else self.t1
            case Timer.D:
                return 0.0 if reliable else max(32.0, self.lifetime)
            case Timer.I | Timer.K:
                return 0.0 if reliable else self.t4
            case Timer.J:
                return 0.0 if reliable else self.lifetime
            case Timer.RETRANSMIT_2XX:
                return self.t1
            case Timer.TRYING:
                return self.patience
            case _:
                return self.lifetime
