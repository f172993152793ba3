"""What a listener would say of a stream: the E-model (ITU-T G.107), simplified for what a relay can see.

Pure. Not here: codecs' own impairments beyond those in the table, echo, and the network beyond the relay. One-way
delay is not measurable here; that of a jitter buffer of twice the jitter is assumed, on top of a fixed path.
"""

from __future__ import annotations

_R0 = 93.2  # G.107 default transmission rating
_PATH_DELAY_MS = 40.0  # packetisation and an ordinary network path, assumed
_IE = {0: 0.0, 8: 0.0, 9: 0.0, 18: 11.0}  # G.113 appendix I: equipment impairment by payload type
_BPL = {0: 25.1, 8: 25.1, 9: 25.1, 18: 19.0}  # G.113: robustness to random loss, with concealment
_DEFAULT_BPL = 20.0


def r_factor(lost: int, expected: int, jitter_ms: float, payload_type: int) -> float:
    """Return the rating, 0 to 100."""
    loss_percent = 100.0 * lost / expected if expected > 0 else 0.0
    delay_ms = _PATH_DELAY_MS + 2.0 * jitter_ms
    delay_impairment = 0.024 * delay_ms + (0.11 * (delay_ms - 177.3) if delay_ms > 177.3 else 0.0)
    ie = _IE.get(payload_type, 0.0)
    bpl = _BPL.get(payload_type, _DEFAULT_BPL)
    loss_impairment = ie + (95.0 - ie) * loss_percent / (loss_percent + bpl)
    return min(100.0, max(0.0, _R0 - delay_impairment - loss_impairment))


def mos(rating: float) -> float:
    """Return the mean opinion score of a rating, 1 to 4.5 (G.107 annex B)."""
    if rating <= 6.5:  # below it the polynomial dips under 1
        return 1.0
    if rating >= 100:
        return 4.5
    return 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6
