"""Header lists, messages and what they refuse to write."""

import contextlib
import time

import pytest

from sbc.sip.errors import LocalError, ParseError
from sbc.sip.headers import CSeq, Headers, Via, split_list
from sbc.sip.message import Request, Response
from sbc.sip.parser import parse_message
from sbc.sip.uri import Uri
from tests.support.sip_messages import invite


def test_names_compare_without_case_and_compact_forms_count() -> None:
    headers = Headers([("v", "SIP/2.0/UDP a, SIP/2.0/UDP b"), ("VIA", "SIP/2.0/UDP c"), ("X-New", "1")])
    assert headers.values("Via") == ["SIP/2.0/UDP a", "SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert headers.lines("via") == ["SIP/2.0/UDP a, SIP/2.0/UDP b", "SIP/2.0/UDP c"]
    assert headers.first("x-new") == "1"
    assert "V" in headers
    assert "Route" not in headers
    assert len(headers) == 3


def test_changes_keep_order_and_forget_what_was_read() -> None:
    message = parse_message(invite("Route: <sip:a;lr>", "X: 1", "Route: <sip:b;lr>"))
    assert message.from_.display == "Alice Example"
    message.headers.replace("From", "Bob <sip:b@contoso.example>;tag=2")
    assert message.from_.display == "Bob"
    message.headers.replace("Route", "<sip:c;lr>")
    message.headers.prepend("Via", "SIP/2.0/UDP first")
    message.headers.add("x", "last")
    assert message.top_via.host == "first"
    assert next(name for name, _ in message.headers) == "Via"
    assert [pair for pair in message.headers if pair[0] in {"Route", "X"}] == [
        ("Route", "<sip:c;lr>"),
        ("X", "1"),
    ]
    message.headers.remove("contact")
    assert message.contact is None


def test_a_copy_is_independent() -> None:
    headers = parse_message(invite()).headers
    copy = headers.copy()
    copy.replace("To", "<sip:other@contoso.example>")
    assert headers != copy
    assert headers.first("to") != copy.first("to")


@pytest.mark.parametrize("text", ["a\r\nX: y", "a\nX: y", "a\rb"])
def test_no_value_of_ours_becomes_another_header(text: str) -> None:
    headers = Headers()
    for change in (headers.add, headers.prepend, headers.replace):
        with pytest.raises(LocalError):
            change("Subject", text)
    with pytest.raises(LocalError):
        headers.add("Bad Name", "x")
    with pytest.raises(LocalError):
        Response(200, text).encode()
    with pytest.raises(LocalError):
        Request("OPTIONS", Uri("sip", user=text, host="h")).encode()
    with pytest.raises(LocalError):
        Request("BAD METHOD", Uri("sip", host="h")).encode()


def test_lists_split_outside_quotes_and_angles() -> None:
    assert split_list('"a, b" <sip:c,d@h>;x="1,2" , sip:e@h,,') == ['"a, b" <sip:c,d@h>;x="1,2"', "sip:e@h"]
    assert split_list('a, "unbalanced, b') == ["a", '"unbalanced, b']


@pytest.mark.parametrize(
    "text", ["<," * 4000, '"\\"' * 2700, '",' * 4001, "," * 8000, '"\\' * 4000, "a," * 4000]
)
def test_hostile_lists_cost_little(text: str) -> None:
    start = time.process_time()
    split_list(text)
    with contextlib.suppress(ParseError):
        parse_message(invite(f"Subject: {text}\x07"))
    assert time.process_time() - start < 0.1


def test_the_first_via_changes_and_the_others_keep_their_bytes() -> None:
    raw = "VIA: SIP/2.0/TLS 203.0.113.24:5061;branch=z9hG4bK6f1e"
    data = invite().replace(raw.encode(), b"v: SIP/2.0/UDP h.example;rport;branch=z1 ,  SIP/2.0/UDP  x")
    message = parse_message(data)
    assert isinstance(message, Request)
    message.stamp_source("192.0.2.9", 4000)
    assert message.headers.lines("via")[0].endswith(",  SIP/2.0/UDP  x")
    via = message.top_via
    assert (via.received, via.rport, via.branch, via.sent_by) == ("192.0.2.9", 4000, "z1", "h.example")


def test_without_rport_only_a_differing_source_is_noted() -> None:
    message = parse_message(invite())
    assert isinstance(message, Request)
    before = message.encode()
    message.stamp_source("203.0.113.24", 1234)
    assert message.encode() == before
    message.stamp_source("192.0.2.9", 1234)
    assert (message.top_via.received, message.top_via.has_rport) == ("192.0.2.9", False)


@pytest.mark.parametrize("text", ["", "x", "-1 A", "1", "2147483648 A", "1 A B", "9" * 4000 + " A", "1 A,B"])
def test_bad_cseq(text: str) -> None:
    with pytest.raises(ParseError):
        CSeq.parse(text)


def test_cseq_edges() -> None:
    assert CSeq.parse("0 A") == (0, "A")
    assert CSeq.parse("000 A") == (0, "A")
    assert CSeq.parse("0002147483647\t A") == (2**31 - 1, "A")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",SIP/2.0/UDP h",
        "SIP/3.0/UDP h",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP h:0",
        "SIP/2.0/UDP h:99999",
        "SIP/2.0/UDP h x",
    ],
)
def test_bad_via(text: str) -> None:
    with pytest.raises(ParseError):
        Via.parse(text)


def test_a_response_copies_what_it_must() -> None:
    request = parse_message(invite("Record-Route: <sip:p;lr>", "Timestamp: 5", "v: SIP/2.0/UDP second"))
    assert isinstance(request, Request)
    ringing = request.response(180, to_tag="mine", headers=[("Contact", "<sip:me@contoso.example>")])
    assert ringing.reason == "Ringing"
    assert ringing.vias == request.vias
    assert ringing.to.tag == "mine"
    assert (ringing.call_id, ringing.cseq, ringing.from_) == (request.call_id, request.cseq, request.from_)
    assert "Record-Route" in ringing.headers
    trying = request.response(100)
    assert ("Timestamp" in trying.headers, "Record-Route" in trying.headers) == (True, False)
    assert "Record-Route" not in request.response(404).headers
    assert "Max-Forwards" not in request.response(404).headers
    again = parse_message(ringing.encode())
    assert again == ringing


def test_a_to_tag_is_not_doubled() -> None:
    data = invite().replace(b":5061;user=phone>\r\nCSEQ", b":5061;user=phone>;tag=theirs\r\nCSEQ")
    request = parse_message(data)
    assert isinstance(request, Request)
    assert request.response(486, to_tag="mine").headers.lines("to") == request.headers.lines("to")


def test_the_body_is_counted_and_content_length_written_once() -> None:
    message = parse_message(invite(body=b"12345"))
    message.body = b"123"
    encoded = message.encode()
    assert encoded.lower().count(b"content-length") == 1
    assert encoded.endswith(b"Content-Length: 3\r\n\r\n123")


def test_a_missing_header_is_named() -> None:
    with pytest.raises(ParseError, match="Missing Call-ID header"):
        _ = Request("OPTIONS", Uri("sip", host="h")).call_id
