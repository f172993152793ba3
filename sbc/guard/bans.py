"""Sources that send what is no SIP, again and again, are not listened to for a while."""

from __future__ import annotations

from collections import OrderedDict


class BanList:
    """Counts faults per source and bans those with too many within a minute. Memory is bounded; the oldest go first."""

    WINDOW_S = 60.0
    SOURCES_MAX = 10_000

    def __init__(self, faults: int, ban_s: float) -> None:
        """Ban for ``ban_s`` seconds after ``faults`` faults within a minute; zero seconds bans nobody."""
        self._faults = faults
        self._ban_s = ban_s
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()
        self._banned: OrderedDict[str, float] = OrderedDict()

    def fault(self, source: str, now: float) -> bool:
        """Note a fault; returns True when it gets the source banned."""
        if self._ban_s <= 0:
            return False
        since, count = self._counts.pop(source, (now, 0))
        if now - since > self.WINDOW_S:
            since, count = now, 0
        count += 1
        if count >= self._faults:
            self._banned[source] = now + self._ban_s
            self._trim(self._banned)
            return True
        self._counts[source] = (since, count)
        self._trim(self._counts)
        return False

    def is_banned(self, source: str, now: float) -> bool:
        """Tell whether a source is banned now."""
        until = self._banned.get(source)
        if until is None:
            return False
        if now >= until:
            del self._banned[source]
            return False
        return True

    def _trim(
        self, table: OrderedDict[str, object] | OrderedDict[str, float] | OrderedDict[str, tuple[float, int]]
    ) -> None:
        while len(table) > self.SOURCES_MAX:
            table.popitem(last=False)
