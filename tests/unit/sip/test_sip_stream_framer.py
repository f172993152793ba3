"""Framing of one connection's bytes."""

import time

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.parser import Limits
from sbc.sip.stream import KeepAlive, StreamFramer
from tests.support.sip_messages import invite


def failing(data: bytes, limits: Limits | None = None) -> ParseError:
    framer = StreamFramer(limits or Limits())
    framer.feed(data)
    with pytest.raises(ParseError) as caught:
        framer.next()
    with pytest.raises(ParseError) as again:
        framer.next()
    assert again.value is caught.value
    return caught.value


def test_a_missing_length_is_answered_400() -> None:
    error = failing(invite(drop=("CONTENT-LENGTH",)))
    assert (error.status, error.reason) == (400, "Missing Content-Length header")
    assert error.request is not None
    assert error.request.call_id == "0a1b2c3d"


@pytest.mark.parametrize(
    ("length", "status", "reason"),
    [
        ("-1", 400, "Bad Content-Length header"),
        ("", 400, "Bad Content-Length header"),
        ("1 2", 400, "Bad Content-Length header"),
        ("0x10", 400, "Bad Content-Length header"),
        ("65537", 413, "Body too large"),
        ("9" * 400, 413, "Body too large"),
        ("1\r\nContent-Length: 2", 400, "Multiple Content-Length headers"),
        ("1\r\nl: 2", 400, "Multiple Content-Length headers"),
    ],
)
def test_a_bad_length_ends_the_stream(length: str, status: int, reason: str) -> None:
    error = failing(invite(length=length))
    assert (error.status, error.reason) == (status, reason)
    assert error.request is not None


def test_a_folded_or_repeated_equal_length_counts_once() -> None:
    framer = StreamFramer()
    data = invite("l:\r\n  007", body=b"1234567")
    framer.feed(data)
    assert framer.next() == data


def test_a_body_that_looks_like_a_head_is_left_alone() -> None:
    framer = StreamFramer()
    data = invite(body=invite() + b"\r\n\r\n")
    framer.feed(data + data)
    assert [framer.next(), framer.next(), framer.next()] == [data, data, None]


def test_bare_lf_throughout_is_framed() -> None:
    framer = StreamFramer()
    data = invite(body=b"xy").replace(b"\r\n", b"\n")
    framer.feed(data + invite())
    assert [framer.next(), framer.next()] == [data, invite()]


def test_an_endless_first_line_and_an_endless_head_are_refused() -> None:
    assert failing(b"A" * 9000).status == 414
    assert failing(b"INVITE sip:a@b SIP/2.0\r\n" + b"X: y\r\n" * 12000).status == 513


def test_keep_alives_are_told_apart() -> None:
    framer = StreamFramer()
    framer.feed(b"\r\n")
    assert framer.next() is None
    framer.feed(b"\r\n")
    assert framer.next() is KeepAlive.PING
    framer.feed(b"\r\n" + invite())
    assert [framer.next(), framer.next(), framer.next()] == [KeepAlive.PONG, invite(), None]


def test_where_we_ping_a_single_line_end_is_a_pong_at_once() -> None:
    framer = StreamFramer(sent_pings=True)
    framer.feed(b"\r\n")
    assert [framer.next(), framer.next()] == [KeepAlive.PONG, None]


def test_a_lone_cr_between_messages_ends_the_stream() -> None:
    assert failing(b"\rINVITE").request is None


def test_a_slow_drip_costs_in_proportion_to_its_length() -> None:
    def cost(headers: int) -> float:
        data = invite(*["X-Long: " + "y" * 90] * headers)
        framer = StreamFramer()
        start = time.process_time()
        for at in range(len(data)):
            framer.feed(data[at : at + 1])
            framer.next()
        return time.process_time() - start

    # Eight times the bytes; a quadratic scan would cost some sixty times the time.
    assert min(cost(480) for _ in range(2)) < 24 * min(cost(60) for _ in range(3))


def test_many_pipelined_messages_come_out_in_linear_time() -> None:
    framer = StreamFramer()
    framer.feed(invite() * 3000)
    count = 0
    while framer.next() is not None:
        count += 1
    assert count == 3000
