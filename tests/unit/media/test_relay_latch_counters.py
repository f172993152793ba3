import pytest

from sbc.media.relay.counters import Counters
from sbc.media.relay.latch import Latch

NAMED, NATED, THIEF = ("192.0.2.1", 4000), ("198.51.100.1", 5000), ("203.0.113.9", 6666)


def named_latch() -> Latch:
    latch = Latch(5.0)
    assert latch.name(NAMED)
    return latch


def test_media_goes_to_the_named_address_until_another_source_is_learned():
    latch = named_latch()
    assert latch.current == NAMED
    assert latch.admits(NATED, 0.0)
    assert latch.move(NATED, 0.0)
    assert latch.current == NATED


def test_a_source_is_learned_once():
    latch = named_latch()
    latch.move(NATED, 0.0)
    assert not latch.admits(THIEF, 1.0)


def test_once_media_flows_nobody_else_is_let_in():
    latch = named_latch()
    latch.move(NAMED, 0.0)
    assert not latch.admits(THIEF, 4.9)


def test_the_named_address_takes_its_place_back_from_a_learned_one():
    latch = named_latch()
    latch.move(THIEF, 0.0)
    assert latch.admits(NAMED, 0.1)
    latch.move(NAMED, 0.1)
    assert not latch.admits(THIEF, 0.2)


def test_after_a_silence_another_source_may_come():
    latch = named_latch()
    latch.move(NAMED, 0.0)
    assert latch.admits(NATED, 5.1)


def test_the_same_sdp_again_keeps_a_learned_source():
    latch = named_latch()
    latch.move(NATED, 0.0)
    assert not latch.name(NAMED)
    assert latch.current == NATED
    assert not latch.admits(THIEF, 1.0)


def test_new_sdp_begins_anew():
    latch = named_latch()
    latch.move(NATED, 0.0)
    assert latch.name(("192.0.2.2", 4002))
    assert latch.current == ("192.0.2.2", 4002)
    assert latch.admits(NATED, 1.0)


def test_hold_without_an_address_keeps_the_source():
    latch = named_latch()
    latch.move(NATED, 0.0)
    assert not latch.name(None)
    assert latch.current == NATED
    assert not latch.admits(THIEF, 1.0)


def fed(*packets: tuple[int, int]) -> Counters:
    """Count (ssrc, seq) as the relay's loop does."""
    counters = Counters()
    for ssrc, seq in packets:
        counters.packets += 1
        if seq == counters.next_seq & 0xFFFF and ssrc == counters.ssrc:
            counters.next_seq += 1
        else:
            counters.out_of_step(ssrc, seq)
    return counters


@pytest.mark.parametrize(
    ("sequence", "expected", "lost"),
    [
        ([], 0, 0),
        ([5], 1, 0),
        ([5, 6, 7], 3, 0),
        ([5, 7, 8], 4, 1),
        ([5, 7, 6, 8], 4, 0),
        ([65534, 65535, 0, 1], 4, 0),
        ([65534, 1], 4, 2),
        ([65535, 65534, 0], 2, 0),
        ([5, 5, 6], 2, 0),
        ([5, 6, 40000, 40001], 4, 0),
        ([5, 7, 40000, 40001], 5, 1),
    ],
)
def test_loss_is_what_was_expected_less_what_came(sequence, expected, lost):
    counters = fed(*((1, seq) for seq in sequence))
    assert (counters.expected, counters.lost) == (expected, lost)


def test_a_new_source_begins_a_new_run_and_keeps_the_old_loss():
    counters = fed((1, 10), (1, 12), (2, 900), (2, 901), (2, 903))
    assert (counters.expected, counters.lost) == (7, 2)


def test_jitter_grows_with_uneven_arrival_and_not_with_even():
    even, uneven = Counters(), Counters()
    for number in range(100):
        even.interval(number * 0.02, 50.0 + number * 0.02)
        uneven.interval(number * 0.02, 50.0 + number * 0.02 + 0.01 * (number % 2))
    assert even.jitter == pytest.approx(0.0, abs=1e-9)
    assert uneven.jitter == pytest.approx(0.01, rel=0.05)


def test_a_wrapping_timestamp_is_not_jitter():
    counters = Counters()
    counters.interval((2**32 - 160) / 8000, 10.0)
    counters.interval(0.0, 10.02)
    assert counters.jitter == 0.0
