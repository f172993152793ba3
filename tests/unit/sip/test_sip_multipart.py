"""Multipart bodies."""

import pytest

from sbc.sip.errors import LocalError, ParseError
from sbc.sip.multipart import Part, boundary_of, encode_multipart, find_part, parse_multipart

SDP = Part((("Content-Type", "application/sdp"), ("Content-ID", "<1@contoso.example>")), b"v=0\r\ns=-\r\n")
PIDF = Part((("Content-Type", "application/pidf+xml"),), b"<presence/>\r\n--x\r\n")


def test_parts_come_back_as_they_were_written() -> None:
    body = encode_multipart([PIDF, SDP, Part((), b"")], "b 1")
    assert parse_multipart(body, "b 1") == [PIDF, SDP, Part((), b"")]
    assert find_part('multipart/mixed;boundary="b 1"', b"preamble\r\n" + body + b"epilogue") == SDP


def test_the_session_description_is_found_in_a_nested_part() -> None:
    inner = encode_multipart([PIDF, SDP], "in")
    outer = encode_multipart(
        [PIDF, Part((("content-type", "Multipart/Alternative; boundary=in"),), inner)], "out"
    )
    assert find_part("multipart/mixed;boundary=out", outer) == SDP


def test_a_plain_body_is_its_own_part() -> None:
    found = find_part("Application/SDP;charset=utf-8", b"v=0\r\n")
    assert found is not None
    assert found.body == b"v=0\r\n"
    assert find_part("text/plain", b"x") is None
    assert find_part(None, b"") is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", b"--x\r\n\r\n--x--"),
        ("multipart/mixed;boundary=", b""),
        ("multipart/mixed;boundary=x", b"no parts"),
        ("multipart/mixed;boundary=x", b"--x\r\n\r\nnever ends"),
        ("multipart/mixed;boundary=x", b"--x\r\nnocolon\r\n\r\n\r\n--x--"),
        ("multipart/mixed;boundary=x", b"--x\r\n\r\n" * 50 + b"--x--"),
    ],
)
def test_broken_bodies_are_refused(kind: str, body: bytes) -> None:
    with pytest.raises(ParseError):
        find_part(kind, body)


def test_bare_lf_parts_are_read() -> None:
    assert (
        find_part("multipart/mixed;boundary=x", b"--x\nContent-Type: application/sdp\n\nv=0\n--x--\n")
        is not None
    )


def test_a_boundary_inside_a_part_is_never_written() -> None:
    with pytest.raises(LocalError):
        encode_multipart([Part((), b"--x")], "x")
    assert boundary_of('multipart/mixed; boundary="a;b"'.replace(";b", "=b")) == "a=b"


def test_one_line_end_may_close_a_delimiter_and_open_the_next() -> None:
    assert parse_multipart(b"--x\r\n--x--", "x") == [Part((), b"")]
