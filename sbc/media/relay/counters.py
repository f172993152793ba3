"""What is counted of the packets that one leg sends: RFC 3550 §A.1 (sequence), §A.3 (loss), §A.8 (jitter).

Pure. A new SSRC, or a sequence that jumps, begins a new run; the runs' losses add up. Duplicates are not told from
reordered packets: like §A.3, loss is what was expected less what came, never below zero within a run.
"""

from __future__ import annotations

_MAX_DROPOUT = 3000  # RFC 3550 §A.1: a larger jump is a restarted sender, not loss
_MAX_MISORDER = 100


class Counters:
    """One direction's counters. The relay's loop keeps the first five fields up to date itself, for speed."""

    __slots__ = (
        "_ended_expected",
        "_ended_lost",
        "_first",
        "_run_packets",
        "errors",
        "jitter",
        "last_at",
        "next_seq",
        "octets",
        "packets",
        "payload_type",
        "rtcp_packets",
        "ssrc",
        "strays",
        "transit",
        "unsent",
    )

    def __init__(self) -> None:
        self.ssrc = -1
        self.next_seq = 0
        """The sequence number expected next, extended by its wraps (so more than 16 bits)."""
        self.packets = 0
        self.octets = 0
        self.last_at: float | None = None
        self.jitter = 0.0
        """Seconds."""
        self.transit: float | None = None
        self.payload_type = -1
        self.rtcp_packets = 0
        self.errors = 0
        """Malformed, not authentic, replayed, too long."""
        self.strays = 0
        """From addresses that media is not taken from."""
        self.unsent = 0
        """Accepted, but with nowhere to go or refused by the network."""
        self._first = 0
        self._run_packets = 0
        self._ended_expected = 0
        self._ended_lost = 0

    def out_of_step(self, ssrc: int, seq: int) -> None:
        """Note a packet that is not the expected one; `packets` counts it already."""
        ahead = (seq - self.next_seq) & 0xFFFF
        if ssrc == self.ssrc and ahead < _MAX_DROPOUT:
            self.next_seq += ahead + 1
        elif ssrc != self.ssrc or 0x10000 - ahead > _MAX_MISORDER:
            self._end_run()
            self.ssrc = ssrc
            self._first = seq
            self.next_seq = seq + 1
            self._run_packets = self.packets - 1
            self.transit = None

    def _end_run(self) -> None:
        expected = self.next_seq - self._first
        self._ended_expected += expected
        self._ended_lost += max(0, expected - (self.packets - 1 - self._run_packets))

    @property
    def expected(self) -> int:
        """How many packets there should have been."""
        return self._ended_expected + self.next_seq - self._first

    @property
    def lost(self) -> int:
        """How many of them never came."""
        run = self.next_seq - self._first - (self.packets - self._run_packets)
        return self._ended_lost + max(0, run)

    def interval(self, timestamp_s: float, now: float) -> None:
        """Update the jitter with a packet's RTP timestamp, in seconds of its clock (§A.8)."""
        transit = now - timestamp_s
        before, self.transit = self.transit, transit
        if before is None:
            return
        change = abs(transit - before)
        if change < 10.0:  # a longer one is the timestamp's wrap or a restarted sender
            self.jitter += (change - self.jitter) / 16.0
