"""Transaction timers A to M as one immutable value (RFC 3261 appendix A, RFC 6026 §7 and §8).

All values are seconds. A reliable transport has no retransmissions to send or absorb: A, E and G never run there, D, I, J and
K are zero.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Timer(enum.Enum):
    """A transaction timer by its RFC name; ``RETRANSMIT_2XX`` and ``ACK_WAIT`` belong to the UAS core (§13.3.1.4)."""

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
    RETRANSMIT_2XX = "2xx"
    ACK_WAIT = "ack"


@dataclass(frozen=True, slots=True)
class Timers:
    """The base values and what follows from them."""

    t1: float = 0.5
    """Round-trip estimate."""
    t2: float = 4.0
    """Longest retransmission interval."""
    t4: float = 5.0
    """How long a message stays in the network."""

    @property
    def lifetime(self) -> float:
        """64·T1: how long a transaction is tried (timers B, F, H, L, M and, unreliable, J)."""
        return 64 * self.t1

    def duration(self, timer: Timer, *, reliable: bool) -> float | None:
        """Return the first duration of a timer; ``None`` when it never runs on such a transport."""
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
            case _:
                return self.lifetime
