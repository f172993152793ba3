"""What the border asks of a media engine, whichever engine it is.

Not here: how an engine is spoken to (`client`), what the trunks' media looks like (`profiles`), the embedded
engine (`relay`). Offer and answer follow RFC 3264; the words are those of the NG protocol, which both engines
speak.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

RtcpMux = Literal["offer", "accept", "never"]


@dataclass(frozen=True, slots=True)
class MediaProfile:
    """What media looks like on the wire of a trunk: data, which a client turns into its engine's flags."""

    name: str
    protocol: Literal["RTP/AVP", "RTP/SAVP"]
    """The transport of the m= line (RFC 3551, RFC 3711)."""
    suites: tuple[str, ...] = ()
    """SDES crypto suites to offer, best first (RFC 4568); empty for plain RTP."""
    rtcp_mux: RtcpMux = "accept"
    """RFC 5761: `offer` it and take it; `accept` it when the peer offers it; `never`."""
    interface: str | None = None
    """The engine's interface to use; None = its default one."""


@dataclass(frozen=True, slots=True)
class StreamStats:
    """What an engine counted of one direction, from one leg to the other."""

    from_tag: str
    to_tag: str
    packets: int
    """RTP packets accepted from the sender."""
    octets: int
    """Their octets, headers included, as received."""
    lost: int = 0
    """RTP packets that never arrived (RFC 3550 §A.3); 0 when the engine does not know."""
    jitter_ms: float | None = None
    """Interarrival jitter (RFC 3550 §6.4.1). Milliseconds."""
    r_factor: float | None = None
    """E-model transmission rating, 0 to 100 (ITU-T G.107, simplified)."""
    mos: float | None = None
    """Estimated mean opinion score, 1 to 4.5 (ITU-T G.107 Annex B)."""
    last_packet_age_s: float | None = None
    """How long ago the last packet came; None when there was none. Seconds."""
    errors: int = 0
    """Packets that could not be used: malformed, not authentic, replayed, or not to be sent."""
    strays: int = 0
    """Packets from addresses that media is not taken from."""


@dataclass(frozen=True, slots=True)
class CallStats:
    """What an engine counted of a call."""

    streams: tuple[StreamStats, ...] = ()
    expired: bool = False
    """The engine dropped the call because it was silent for too long."""

    def flowed(self, from_tag: str, to_tag: str) -> bool:
        """Say whether audio came from one leg for the other."""
        return any(s.packets > 0 for s in self.streams if s.from_tag == from_tag and s.to_tag == to_tag)

    @property
    def packets(self) -> int:
        """RTP packets, both directions."""
        return sum(s.packets for s in self.streams)

    @property
    def octets(self) -> int:
        """Octets of RTP, both directions."""
        return sum(s.octets for s in self.streams)

    @property
    def lost(self) -> int:
        """RTP packets that never arrived, both directions."""
        return sum(s.lost for s in self.streams)

    @property
    def jitter_ms(self) -> float | None:
        """The worse direction's jitter; None when the engine knows none. Milliseconds."""
        return max((s.jitter_ms for s in self.streams if s.jitter_ms is not None), default=None)

    @property
    def mos(self) -> float | None:
        """The worse direction's MOS; None when the engine knows none."""
        return min((s.mos for s in self.streams if s.mos is not None), default=None)


class MediaEngine(Protocol):
    """A media engine. Tags are the border's own leg names, stable for the call's life; all raise `MediaError`."""

    async def offer(
        self,
        call_id: str,
        from_tag: str,
        sdp: bytes,
        *,
        towards: MediaProfile,
        received_on: MediaProfile,
        to_tag: str | None = None,
    ) -> bytes:
        """Return the offer for the other leg to what leg `from_tag` offered; for re-offers too, from either leg."""
        ...

    async def answer(
        self,
        call_id: str,
        from_tag: str,
        to_tag: str,
        sdp: bytes,
        *,
        towards: MediaProfile,
        received_on: MediaProfile,
    ) -> bytes:
        """Return the answer for the offerer, `from_tag`, to what `to_tag` answered; the latest answer wins."""
        ...

    async def delete(self, call_id: str, from_tag: str) -> CallStats:
        """Release the call's ports; return its final statistics."""
        ...

    async def query(self, call_id: str) -> CallStats:
        """Return the call's statistics so far."""
        ...
