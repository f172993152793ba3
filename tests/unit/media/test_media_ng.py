import pytest

from sbc.media.errors import MediaRefused, NoPortsLeft, UnknownCall, UnusableSdp
from sbc.media.ng import FIRST_REPEAT_S, Correlator, ReplyMemory, refusal


def correlator(timeout_s: float = 2.0) -> Correlator:
    cookies = iter("abcdef")
    return Correlator(lambda: next(cookies), timeout_s)


def test_a_command_carries_its_cookie_and_its_answer_comes_back_once():
    ng = correlator()
    assert ng.command("ping", {}, 0.0) == ("a", b"a d7:command4:pinge")
    assert ng.receive(b"a d6:result4:ponge") == ("a", {"result": b"pong"})
    assert ng.receive(b"a d6:result4:ponge") is None
    assert len(ng) == 0


def test_answers_out_of_order_find_their_commands():
    ng = correlator()
    ng.command("ping", {}, 0.0)
    ng.command("ping", {}, 0.0)
    assert ng.receive(b"b de") == ("b", {})
    assert ng.receive(b"a de") == ("a", {})


def test_an_unanswered_command_is_repeated_with_the_same_cookie_at_growing_intervals():
    ng = correlator()
    _, datagram = ng.command("ping", {}, 0.0)
    times = []
    while (due := ng.next_timer()) is not None:
        repeats, expired = ng.handle_timers(due)
        if repeats:
            assert repeats == [datagram]
            times.append(round(due, 2))
        if expired:
            assert expired == ["a"]
            assert due == 2.0
    assert times == [FIRST_REPEAT_S, 0.45, 1.05]


def test_an_unreadable_answer_ends_the_command_with_an_error():
    ng = correlator()
    ng.command("ping", {}, 0.0)
    received = ng.receive(b"a garbage")
    assert received is not None
    assert received[1]["result"] == b"error"
    assert ng.next_timer() is None


@pytest.mark.parametrize("data", [b"", b" ", b"zz de", b"\xff\xfe de", b"zz"])
def test_what_nobody_asked_for_is_let_pass(data):
    ng = correlator()
    ng.command("ping", {}, 0.0)
    assert ng.receive(data) is None
    assert len(ng) == 1


def test_an_engine_remembers_its_answers_for_a_while():
    memory = ReplyMemory(keep_s=30.0, limit=2)
    memory.remember("peer", b"a", b"answer", 0.0)
    assert memory.recall("peer", b"a", 29.0) == b"answer"
    assert memory.recall("other", b"a", 29.0) is None
    assert memory.recall("peer", b"a", 30.0) is None
    for cookie in (b"b", b"c", b"d"):
        memory.remember("peer", cookie, cookie, 1.0)
    assert memory.recall("peer", b"b", 1.0) is None
    assert memory.recall("peer", b"d", 1.0) == b"d"


@pytest.mark.parametrize(
    ("reason", "kind", "status"),
    [
        ("no ports left", NoPortsLeft, 503),
        ("Ran out of ports", NoPortsLeft, 503),
        ("Unknown call-id", UnknownCall, 503),
        ("Failed to parse SDP", UnusableSdp, 488),
        ("SDP has no crypto that can be used", UnusableSdp, 488),
        ("something else", MediaRefused, 503),
    ],
)
def test_an_engines_refusal_says_what_the_call_ends_with(reason, kind, status):
    error = refusal(reason)
    assert type(error) is kind
    assert error.status == status
    assert error.reason == reason
