"""What the parser refuses, with which status, and what is left to answer with."""

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.parser import Limits, parse_message
from tests.support.sip_messages import invite


def refused(data: bytes, limits: Limits | None = None) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_message(data, limits or Limits())
    return caught.value


@pytest.mark.parametrize(
    ("data", "limits", "status", "reason"),
    [
        (invite("X: " + "y" * 8200), Limits(), 400, "Header line too long"),
        (
            invite().replace(b"+14255550123@sbc1", b"1" * 9000 + b"@sbc1", 1),
            Limits(),
            414,
            "Request-URI too long",
        ),
        (invite(*["X: y"] * 300), Limits(), 400, "Too many header fields"),
        (invite(*["X: " + "y" * 8000] * 9), Limits(), 513, "Header section too large"),
        (invite(body=b"x" * 65537), Limits(), 413, "Body too large"),
        (invite(body=b"x" * 70), Limits(message=500, body=60), 413, "Body too large"),
        (invite(body=b"x" * 600), Limits(message=500), 513, "Message too large"),
    ],
)
def test_each_limit_has_its_own_answer(data: bytes, limits: Limits, status: int, reason: str) -> None:
    error = refused(data, limits)
    assert (error.status, error.reason) == (status, reason)
    assert error.request is not None
    assert error.request.call_id == "0a1b2c3d"


def test_what_is_just_within_the_limits_is_read() -> None:
    parse_message(invite("X: " + "y" * 8189))
    parse_message(invite(*["X: y"] * 248))
    parse_message(invite(body=b"x" * 65536))


@pytest.mark.parametrize("name", ["FROM", "TO", "CSEQ", "CALL-ID"])
def test_a_missing_header_is_named_and_answerable(name: str) -> None:
    error = refused(invite(drop=(name,)))
    assert error.status == 400
    assert error.reason.lower() == f"missing {name.lower()} header"
    assert error.request is not None
    answer = error.request.response(400, error.reason, to_tag="x").encode()
    assert answer.startswith(b"SIP/2.0 400 Missing")


def test_without_via_nobody_can_be_answered() -> None:
    error = refused(invite(drop=("VIA",)))
    assert (error.reason, error.request) == ("Missing Via header", None)


def test_a_damaged_ack_or_response_is_never_answered() -> None:
    assert refused(invite().replace(b"INVITE sip", b"ACK sip")).request is None
    assert refused(b"SIP/2.0 200 OK\r\n" + invite(drop=("TO",)).partition(b"\r\n")[2]).request is None


def test_max_forwards_may_be_missing_and_repeated_equal_headers_are_one() -> None:
    assert parse_message(invite(drop=("MAX-FORWARDS",))).max_forwards is None
    assert parse_message(invite("Call-ID: 0a1b2c3d", "l: 0150", body=b"x" * 150)).body == b"x" * 150


@pytest.mark.parametrize(
    "extra", ["Call-ID: other", "t: <sip:x@h>", "Max-Forwards: 1", "Content-Type: a/b\r\nc: c/d"]
)
def test_repeated_single_headers_that_differ_are_refused(extra: str) -> None:
    assert refused(invite(extra)).reason.startswith("Multiple ")


def test_answers_to_injection_carry_no_line_of_the_attacker() -> None:
    data = invite("Call-ID: 0a1b2c3d\rX-Evil: 1", drop=("CALL-ID",))
    error = refused(data)
    assert error.request is not None
    assert b"\rX" not in error.request.response(400, to_tag="x").encode()


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"\0" * 100, b"\r\n", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01"]
)
def test_what_is_no_sip_at_all_is_refused_without_an_answer(data: bytes) -> None:
    assert refused(data).request is None


def test_a_status_line_may_lack_the_space_before_an_empty_reason() -> None:
    data = b"SIP/2.0 200\r\n" + invite().partition(b"\r\n")[2]
    message = parse_message(data)
    assert message.start_line == "SIP/2.0 200 "


def test_contact_is_read_before_anyone_relies_on_it() -> None:
    assert refused(invite("Contact: <sip:x", drop=("CONTACT",))).status == 400
    assert parse_message(invite("Contact: *", drop=("CONTACT",))).contact is None
