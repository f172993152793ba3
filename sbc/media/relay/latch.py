"""Whose packets a leg takes: symmetric RTP (RFC 4961) that cannot be taken over once media flows.

Pure. The peer's SDP names an address. Until media flows, one other source may be learned instead (a peer behind
NAT), because its SDP cannot name it. From then on other sources are refused, except the named one itself, which is
always taken back, and any after a silence. New SDP with another address begins anew. Not here: authentication; a
source is learned from packets that are valid, and with SRTP authentic.
"""

from __future__ import annotations

Address = tuple[str, int]


class Latch:
    """The source of one leg."""

    __slots__ = ("_named", "_relatch_after_s", "current", "heard_at")

    def __init__(self, relatch_after_s: float) -> None:
        self._relatch_after_s = relatch_after_s
        self._named: Address | None = None
        self.current: Address | None = None
        """Where media comes from and goes to; None while nobody knows."""
        self.heard_at: float | None = None
        """When the current source was last heard; None when never."""

    def name(self, address: Address | None) -> bool:
        """Take the address of new SDP; returns whether `current` changed. The same address changes nothing."""
        if address == self._named and (address is not None or self.current is not None):
            return False
        self._named = address
        if address is None:
            return False  # a held peer: stay with the one we know
        self.heard_at = None
        changed = self.current != address
        self.current = address
        return changed

    def restart(self) -> None:
        """Another party answered from the same address: learn its source anew."""
        self.current = self._named or self.current
        self.heard_at = None

    def expects(self, source: Address) -> bool:
        """Say whether that is where the SDP or the media so far say that media comes from."""
        return source in (self.current, self._named)

    def admits(self, source: Address, now: float) -> bool:
        """Say whether a valid packet from there may become, or is, the leg's media."""
        if self.expects(source) or self.heard_at is None:
            return True
        return now - self.heard_at > self._relatch_after_s

    def move(self, source: Address, now: float) -> bool:
        """Take an admitted source; returns whether `current` changed."""
        self.heard_at = now
        if source == self.current:
            return False
        self.current = source
        return True
