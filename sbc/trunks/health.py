"""Which targets of a trunk are worth calling: pure bookkeeping, fed by health checks and by calls.

A target is *up* when it reacted last, *shedding* while it asked to be left alone (503 with Retry-After), *down* when it
could not be reached, *unknown* before anybody tried. Calls go to the up ones first, in the configured order; a down target
is still tried last, because a call that can be connected is connected.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from config.trunks import Target
from sbc.sip.message import Response


class TargetState(enum.Enum):
    """What is known of a target."""

    UNKNOWN = "unknown"
    UP = "up"
    SHEDDING = "shedding"
    DOWN = "down"


_PREFERENCE = {TargetState.UP: 0, TargetState.UNKNOWN: 1, TargetState.DOWN: 2}


@dataclass(slots=True)
class _Entry:
    state: TargetState = TargetState.UNKNOWN
    why: str = "not asked yet"
    rest_until: float = 0.0


class TrunkHealth:
    """The states of one trunk's targets. ``clock`` and ``changed`` are set by the service that runs it."""

    def __init__(self, targets: Sequence[Target]) -> None:
        self._entries = {target: _Entry() for target in targets}
        self.clock: Callable[[], float] = lambda: 0.0
        self.changed: Callable[[Target, TargetState, str], None] = _nobody_listens

    def reacted(self, target: Target) -> None:
        """Note a sign of life: any response but 503."""
        self._set(target, TargetState.UP, "")

    def failed(self, target: Target, why: str) -> None:
        """Note that the target could not be reached or did not answer."""
        self._set(target, TargetState.DOWN, why)

    def shed(self, target: Target, retry_after_s: int | None) -> None:
        """Note a 503: with Retry-After it wants to be left alone for that long; without, it is as good as down."""
        if retry_after_s is None:
            self._set(target, TargetState.DOWN, "answers 503")
            return
        entry = self._entries.get(target)
        if entry is not None:
            entry.rest_until = self.clock() + retry_after_s
        self._set(target, TargetState.SHEDDING, f"asked to be left alone for {retry_after_s} s")

    def state(self, target: Target) -> tuple[TargetState, str]:
        """Return a target's state and, when it is not up, why."""
        entry = self._entries[target]
        if entry.state is TargetState.SHEDDING and self.clock() >= entry.rest_until:
            return TargetState.UNKNOWN, "cooled down"
        return entry.state, entry.why

    def candidates(self) -> tuple[Target, ...]:
        """Return the targets to try for a call, best first; those that asked for rest are left out."""
        ranked = []
        for position, target in enumerate(self._entries):
            preference = _PREFERENCE.get(self.state(target)[0])
            if preference is not None:
                ranked.append((preference, position, target))
        ranked.sort(key=lambda item: item[:2])
        return tuple(target for _, _, target in ranked)

    def rest_s(self) -> int:
        """Seconds until the first shedding target may be asked again; at least 1."""
        now = self.clock()
        waits = [
            entry.rest_until - now for entry in self._entries.values() if entry.state is TargetState.SHEDDING
        ]
        return max(1, round(min(waits, default=1.0)))

    @property
    def is_up(self) -> bool:
        """True while at least one target is known to react."""
        return any(entry.state is TargetState.UP for entry in self._entries.values())

    def _set(self, target: Target, state: TargetState, why: str) -> None:
        entry = self._entries.get(target)
        if entry is None:
            return  # resolved by SRV: health is kept for what was configured
        if (entry.state, entry.why) != (state, why):
            entry.state, entry.why = state, why
            self.changed(target, state, why)


def _nobody_listens(_target: Target, _state: TargetState, _why: str) -> None:
    """Stand in until the service wants to know."""


def retry_after(response: Response) -> int | None:
    """Delay of a Retry-After header in seconds (RFC 3261 §20.33); ``None`` when absent or unreadable."""
    value = response.headers.first("Retry-After")
    if value is None:
        return None
    head = value.split(";", 1)[0].split("(", 1)[0].strip()
    return min(int(head), 3600) if head.isascii() and head.isdigit() and len(head) < 10 else None
