"""Audio that says who it is: a party's *print* is a repeating sequence of four tones out of eight.

Callers and callees use different octets of frequencies, so that an echo can be told from the echoing side's own sound, and a
print's order of tones is its identity: hearing one proves content, not just packets. G.711 µ-law throughout (ITU-T G.711).
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

RATE_HZ = 8000
FRAME_SAMPLES = 160
"""20 ms."""
FRAMES_PER_TONE = 5
CALLER_HZ = tuple(range(400, 1200, 100))
CALLEE_HZ = tuple(range(1300, 2100, 100))
_AMPLITUDE = 6000
_SILENCE = 400.0


@dataclass(frozen=True, slots=True)
class Print:
    """One party's sound."""

    band: tuple[int, ...]
    """The eight frequencies it may use."""
    order: tuple[int, int, int, int]
    """Which of them, in which order."""

    @classmethod
    def choose(cls, band: tuple[int, ...], seed: int | str | None = None) -> Print:
        """Choose a print; the same seed chooses the same."""
        a, b, c, d = random.Random(seed).sample(range(len(band)), 4)
        return cls(band, (a, b, c, d))

    def samples(self, frame: int) -> list[int]:
        """Return the linear samples of a 20 ms frame."""
        hz = self.band[self.order[(frame // FRAMES_PER_TONE) % 4]]
        step = 2 * math.pi * hz / RATE_HZ
        start = frame * FRAME_SAMPLES
        return [round(_AMPLITUDE * math.sin(step * (start + i))) for i in range(FRAME_SAMPLES)]


@cache
def _decode_table() -> tuple[int, ...]:
    table = []
    for code in range(256):
        value = ~code & 0xFF
        magnitude = (((value & 0x0F) << 3) + 0x84) << ((value & 0x70) >> 4)
        table.append(0x84 - magnitude if value & 0x80 else magnitude - 0x84)
    return tuple(table)


@cache
def _encode_table() -> bytes:
    """Map a linear sample divided by four (14 bits) to its µ-law code."""
    return bytes(_encode_one(sample * 4) for sample in range(-8192, 8192))


def _encode_one(sample: int) -> int:
    sign = 0x80 if sample < 0 else 0
    magnitude = min(abs(sample), 32635) + 0x84
    exponent = magnitude.bit_length() - 8
    mantissa = (magnitude >> (exponent + 3)) & 0x0F
    return ~(sign | (exponent << 4) | mantissa) & 0xFF


def encode(samples: Sequence[int]) -> bytes:
    """Encode linear samples as µ-law."""
    table = _encode_table()
    return bytes(table[(max(-32768, min(32767, sample)) >> 2) + 8192] for sample in samples)


def decode(payload: bytes) -> list[int]:
    """Decode µ-law into linear samples."""
    table = _decode_table()
    return [table[code] for code in payload]


def mix(own: Sequence[int], heard: Sequence[int]) -> list[int]:
    """Mix two sounds, each at half its strength."""
    return [(a + b) // 2 for a, b in zip(own, heard, strict=False)]


def strongest(samples: Sequence[int], band: Sequence[int]) -> int | None:
    """Return which frequency of a band sounds in a frame; ``None`` for silence or noise (Goertzel's algorithm)."""
    powers = []
    for hz in band:
        factor = 2 * math.cos(2 * math.pi * hz / RATE_HZ)
        older = newer = 0.0
        for sample in samples:
            older, newer = newer, sample + factor * newer - older
        powers.append(
            math.sqrt(max(0.0, older * older + newer * newer - factor * older * newer)) / len(samples)
        )
    best = max(range(len(powers)), key=powers.__getitem__)
    others = sorted(powers)[-2]
    return best if powers[best] > _SILENCE and powers[best] > 1.8 * others else None


class Listener:
    """Listens for prints of one band and tells whether a certain one was heard."""

    def __init__(self, band: tuple[int, ...]) -> None:
        self._band = band
        self._heard: list[int | None] = []

    def hear(self, payload: bytes) -> None:
        """Take one 20 ms frame of µ-law."""
        self._heard.append(strongest(decode(payload), self._band))

    def recognises(self, wanted: Print, *, share: float = 0.6) -> bool:
        """Tell whether the sound of at least half a second was this print, in its order of tones.

        The best share of frames that fit, over every start within the cycle, must reach ``share``: lost frames and the
        edges of tones cost a little, another print or silence much more.
        """
        frames = self._heard
        cycle = 4 * FRAMES_PER_TONE
        if len(frames) < 25:
            return False
        best = 0
        for start in range(cycle):
            fitting = 0
            for number, heard in enumerate(frames):
                fitting += heard == wanted.order[((number + start) // FRAMES_PER_TONE) % 4]
            best = max(best, fitting)
        sounding = sum(heard is not None for heard in frames)
        return sounding >= 25 and best >= share * sounding

    @property
    def sounding(self) -> bool:
        """Tell whether half a second or more of any sound of the band was heard."""
        return sum(heard is not None for heard in self._heard) >= 25

    @property
    def frames(self) -> int:
        """How many frames were heard."""
        return len(self._heard)
