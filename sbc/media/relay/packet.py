"""The packet in hand: one buffer for all packets, so that relaying one allocates nothing.

The relay is one thread and holds one packet at a time. Not here: what a packet means (`leg`), SRTP (`srtp`).
"""

from __future__ import annotations

MAX_PACKET = 1900
"""Longer packets are dropped: no path to a peer carries them unfragmented. Octets."""

_TRAILER = 160  # libsrtp writes up to 148 octets (tag, MKI, SRTCP index) behind the packet
_ROOM = MAX_PACKET + _TRAILER


class Packet:
    """The buffer, ready-made views of its first n octets, and the time of the current wake-up."""

    __slots__ = ("buffer", "now", "receive_view", "views")

    def __init__(self) -> None:
        self.buffer = bytearray(_ROOM)
        view = memoryview(self.buffer)
        self.views = [view[:size] for size in range(_ROOM + 1)]
        self.receive_view = self.views[MAX_PACKET + 1]
        """One octet more than the longest packet taken: a longer one shows itself by filling it."""
        self.now = 0.0
        """Monotonic seconds at the current wake-up."""
