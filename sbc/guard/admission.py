"""How many calls a second and at once, over all and for each trunk."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """Limits of one scope; ``None`` means none."""

    calls_per_s: float | None = None
    burst: int | None = None
    """Calls at once above the average; one second's worth when left out."""
    concurrent_calls: int | None = None


@dataclass(frozen=True, slots=True)
class Overload:
    """A call that is not admitted."""

    code: str
    """``overload`` or ``draining``."""
    detail: str
    retry_after_s: int


class _Scope:
    """A token bucket and a count."""

    __slots__ = ("active", "at", "burst", "limit", "name", "tokens")

    def __init__(self, name: str, limit: Limit) -> None:
        self.name = name
        self.limit = limit
        self.burst = float(limit.burst or max(1.0, limit.calls_per_s or 1.0))
        self.tokens = self.burst
        self.at: float | None = None
        self.active = 0

    def refill(self, now: float) -> None:
        rate = self.limit.calls_per_s
        if rate is not None:
            if self.at is not None:
                self.tokens = min(self.burst, self.tokens + max(0.0, now - self.at) * rate)
            self.at = now

    def refusal(self) -> Overload | None:
        limit = self.limit
        if limit.concurrent_calls is not None and self.active >= limit.concurrent_calls:
            return Overload("overload", f"{self.name} has {self.active} calls in progress, its limit", 5)
        if limit.calls_per_s is not None and self.tokens < 1.0:
            return Overload(
                "overload", f"{self.name} takes no more than {limit.calls_per_s:g} calls a second", 1
            )
        return None

    def take(self) -> None:
        self.active += 1
        if self.limit.calls_per_s is not None:
            self.tokens -= 1.0


class Admission:
    """Admits calls. A call counts against the node and against both its trunks."""

    def __init__(self, node: Limit, trunks: dict[str, Limit]) -> None:
        self._node = _Scope("the node", node)
        self._trunks = {name: _Scope(f"trunk {name}", limit) for name, limit in trunks.items()}
        self.draining = False

    def admit(self, trunks: tuple[str, ...], now: float, *, emergency: bool = False) -> Overload | None:
        """Admit a call over these trunks, or say why not; an admitted call must be `release`d once."""
        scopes = [self._node, *(self._trunks[name] for name in dict.fromkeys(trunks))]
        if not emergency:
            if self.draining:
                return Overload("draining", "the node is draining", 30)
            for scope in scopes:
                scope.refill(now)
                if (refusal := scope.refusal()) is not None:
                    return refusal
        for scope in scopes:
            if emergency:
                scope.active += 1
            else:
                scope.take()
        return None

    def release(self, trunks: tuple[str, ...]) -> None:
        """Give a call's places back."""
        for scope in [self._node, *(self._trunks[name] for name in dict.fromkeys(trunks))]:
            scope.active = max(0, scope.active - 1)
