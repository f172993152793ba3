"""Limits hold, emergencies pass, and rubbish is not listened to for ever."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.guard import Admission, BanList, Limit


@given(st.lists(st.floats(0, 0.5), min_size=1, max_size=200), st.floats(1, 20), st.integers(1, 10))
@settings(max_examples=100, deadline=None)
def test_the_rate_is_never_exceeded(gaps: list[float], rate: float, burst: int) -> None:
    admission = Admission(Limit(rate, burst, None), {"t": Limit()})
    now, admitted = 0.0, 0
    for gap in gaps:
        now += gap
        admitted += admission.admit(("t",), now) is None
    assert admitted <= burst + rate * (now - gaps[0]) + 1e-6


def test_concurrency_is_counted_over_node_and_trunks_and_given_back() -> None:
    admission = Admission(Limit(concurrent_calls=2), {"a": Limit(concurrent_calls=1), "b": Limit()})
    assert admission.admit(("a", "b"), 0.0) is None
    refusal = admission.admit(("a",), 0.0)
    assert refusal is not None
    assert refusal.code == "overload"
    assert "trunk a" in refusal.detail
    assert admission.admit(("b",), 0.0) is None
    assert admission.admit(("b",), 0.0) is not None
    admission.release(("a", "b"))
    assert admission.admit(("a",), 0.0) is None


def test_emergencies_pass_every_limit_and_a_draining_node() -> None:
    admission = Admission(Limit(1, 1, 1), {"t": Limit(1, 1, 1)})
    admission.draining = True
    refusal = admission.admit(("t",), 0.0)
    assert refusal is not None
    assert refusal.code == "draining"
    for _ in range(5):
        assert admission.admit(("t",), 0.0, emergency=True) is None


def test_a_source_is_banned_after_its_faults_and_heard_again_later() -> None:
    bans = BanList(3, 60.0)
    assert not bans.fault("192.0.2.1", 0.0)
    assert not bans.fault("192.0.2.1", 1.0)
    assert bans.fault("192.0.2.1", 2.0)
    assert bans.is_banned("192.0.2.1", 61.0)
    assert not bans.is_banned("192.0.2.1", 62.1)
    assert not bans.is_banned("192.0.2.2", 3.0)


def test_old_faults_are_forgotten_and_memory_is_bounded() -> None:
    bans = BanList(2, 60.0)
    bans.fault("192.0.2.1", 0.0)
    assert not bans.fault("192.0.2.1", 100.0)
    for number in range(BanList.SOURCES_MAX + 50):
        bans.fault(f"s{number}", 200.0)
    assert len(bans._counts) <= BanList.SOURCES_MAX


def test_no_ban_when_switched_off() -> None:
    bans = BanList(1, 0.0)
    assert not bans.fault("192.0.2.1", 0.0)
    assert not bans.is_banned("192.0.2.1", 0.0)
