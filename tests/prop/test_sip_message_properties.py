"""What must hold for every message: round trips, one error type, and agreement with an independent reader."""

import contextlib

import sipmessage
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.sip.errors import ParseError
from sbc.sip.headers import CSeq, Headers, Via, split_list
from sbc.sip.message import Request
from sbc.sip.multipart import find_part, parse_multipart
from sbc.sip.parser import parse_message
from sbc.sip.uri import NameAddr, Uri, unescape
from tests.support.sip_messages import addresses, invite, messages, uris

EXAMPLES = settings(deadline=None, max_examples=100)


def touch(data: bytes) -> None:
    message = parse_message(data)
    assert message.call_id
    assert isinstance(message.top_via, Via)
    assert isinstance(message.cseq, CSeq)
    assert isinstance(message.from_, NameAddr)
    assert isinstance(message.to, NameAddr)
    assert message.max_forwards is None or message.max_forwards <= 255
    assert message.contact is None or message.contact.uri.scheme
    for name, _ in message.headers:
        message.headers.values(name)
    assert message.vias
    message.encode()


@EXAMPLES
@given(messages())
def test_encoding_gives_back_what_was_read(data: bytes) -> None:
    message = parse_message(data)
    again = parse_message(message.encode())
    assert again == message
    assert again.encode() == message.encode()
    head, _, body = data.partition(b"\r\n\r\n")
    lines = {line.partition(b":")[2].strip(b" ") for line in head.split(b"\r\n")[1:]}
    assert lines == {text.encode("utf-8", "surrogateescape") for _, text in message.headers}
    assert message.body == body


@EXAMPLES
@given(st.binary(max_size=300))
def test_arbitrary_bytes_raise_nothing_but_parse_error(data: bytes) -> None:
    with contextlib.suppress(ParseError):
        touch(data)


@settings(deadline=None, max_examples=250)
@given(messages(), st.data())
def test_a_damaged_message_raises_nothing_but_parse_error(data: bytes, draw: st.DataObject) -> None:
    for _ in range(draw.draw(st.integers(1, 4))):
        at = draw.draw(st.integers(0, len(data)))
        cut = draw.draw(st.integers(0, 5))
        junk = draw.draw(
            st.sampled_from([b"", b"\r\n", b"\n", b"\r", b"\0", b'"', b"<", b">", b",", b";", b"\xff", b"\t"])
        )
        data = data[:at] + junk + data[at + cut :]
    try:
        touch(data)
    except ParseError as error:
        assert 400 <= error.status <= 699
        assert error.reason.isprintable()
        if error.request is not None:
            answer = error.request.response(error.status, error.reason, to_tag="x").encode()
            assert answer.count(b"\r\n\r\n") == 1


@EXAMPLES
@given(st.text(max_size=60) | st.text('<>"\\;,=:@?%[] \tsip', max_size=40))
def test_single_values_raise_nothing_but_parse_error(text: str) -> None:
    for parse in (Uri.parse, NameAddr.parse, Via.parse, CSeq.parse):
        with contextlib.suppress(ParseError):
            parse(text)
    split_list(text)
    with contextlib.suppress(ParseError):
        find_part("multipart/mixed;boundary=" + text, text.encode("utf-8", "surrogatepass"))
    with contextlib.suppress(ParseError):
        parse_multipart(text.encode("utf-8", "surrogatepass"), "sip")


@EXAMPLES
@given(uris)
def test_a_uri_rebuilt_from_its_parts_is_the_same(text: str) -> None:
    uri = Uri.parse(text)
    assert str(uri) == text
    assert Uri.parse(str(uri.replace())) == uri
    assert uri.equivalent(uri.replace())


@EXAMPLES
@given(addresses)
def test_an_address_rebuilt_from_its_parts_is_the_same(text: str) -> None:
    address = NameAddr.parse(text)
    assert str(address) == text
    rebuilt = NameAddr(address.display, address.uri, address.params)
    assert NameAddr.parse(str(rebuilt)) == address
    assert NameAddr.parse(str(address.with_tag("t"))).tag == "t"


@EXAMPLES
@given(st.lists(addresses, min_size=1, max_size=5))
def test_a_list_splits_where_it_was_joined(texts: list[str]) -> None:
    quoted_only = [text for text in texts if "Neil" not in text]
    headers = Headers([("Contact", ", ".join(quoted_only))])
    assert headers.values("m") == [text.strip(" \t") for text in quoted_only]


@EXAMPLES
@given(messages())
def test_an_independent_reader_agrees(data: bytes) -> None:
    try:
        theirs = sipmessage.Message.parse(data)
    except (ValueError, IndexError):
        return
    ours = parse_message(data)
    assert isinstance(ours, Request) == isinstance(theirs, sipmessage.Request)
    assert ours.body == theirs.body
    with contextlib.suppress(ValueError):
        uri = theirs.from_address.uri
        assert (uri.host.strip("[]"), uri.port) == (ours.from_.uri.host, ours.from_.uri.port)
        assert unescape(uri.user or "") == unescape(ours.from_.uri.user or "")
    with contextlib.suppress(ValueError):
        assert (theirs.cseq.sequence, theirs.cseq.method) == ours.cseq


def test_the_independent_reader_reads_the_usual_invite_alike() -> None:
    data = invite()
    ours, theirs = parse_message(data), sipmessage.Message.parse(data)
    assert theirs.cseq.sequence == ours.cseq.number
    assert theirs.via[0].parameters["branch"] == ours.top_via.branch
    assert theirs.from_address.parameters["tag"] == ours.from_.tag
