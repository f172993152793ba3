"""One whole SIP message, from bytes.

Tolerant of what the field sends (any case, compact forms, folded lines, unquoted display names, bare LF
line ends throughout) and strict where tolerance would let two elements read two different messages: stray
CR, LF or NUL, disagreeing Content-Length or repeated single headers, anything between method, URI and
version but one space. What the method, the scheme or an extension means is not decided here.

RFC 3261 §7, §8.1.1, §16.3 item 1, §18.3, §20.14, §25; RFC 4475 and RFC 5118 (torture messages).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sbc.sip.errors import ParseError
from sbc.sip.headers import CSeq, Headers, Item, Via, display_name
from sbc.sip.message import Request, Response, parse_call_id
from sbc.sip.names import KEYS, header_key
from sbc.sip.salvage import salvage_request
from sbc.sip.uri import NameAddr, Uri


@dataclass(frozen=True, slots=True)
class Limits:
    """The most of each thing we take, in bytes where not said otherwise."""

    line: int = 8192
    header_count: int = 256  # header lines
    header_bytes: int = 65536
    body: int = 65536
    message: int = 131072


LIMITS = Limits()

_REQUEST_LINE = re.compile(r"([A-Za-z0-9.!%*_+`'~-]++) ([^ \t]++) SIP/([0-9]++)\.([0-9]++)\Z", re.IGNORECASE)
_STATUS_LINE = re.compile(
    r"SIP/([0-9]++)\.([0-9]++) ([1-6][0-9][0-9])(?: (.*+))?\Z", re.IGNORECASE | re.DOTALL
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9.!%*_+`'~-]++\Z")
_CONTROLS = bytes([*range(9), *range(10, 32), 127])  # all but the tab
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_QUOTED = re.compile(
    r'"[^"\\]*+(?:\\.[^"\\]*+)*+("|\\?\Z)', re.DOTALL
)  # group 1 is empty or a backslash if open
_QUOTED_PAIR = re.compile(r"\\[\x00-\x09\x0b\x0c\x0e-\x7f]")
_FOLD = re.compile(r"\r\n[ \t]+")
_MANDATORY: tuple[tuple[str, Callable[[str], object]], ...] = (
    ("via", Via.parse),
    ("from", NameAddr.parse),
    ("to", NameAddr.parse),
    ("call-id", parse_call_id),
    ("cseq", CSeq.parse),
)
_SINGLE = frozenset({"from", "to", "call-id", "cseq", "max-forwards", "content-length", "content-type"})


def parse_message(data: bytes, limits: Limits = LIMITS) -> Request | Response:
    """Read one message: a datagram, or what `StreamFramer` cut out. Bytes after Content-Length are ignored.

    Raises ParseError only, with the request to answer where there is one.
    """
    try:
        return _parse(data, limits)
    except ParseError as error:
        if error.request is None:
            error.request = salvage_request(data)
        raise


def _parse(data: bytes, limits: Limits) -> Request | Response:
    if len(data) > limits.message:
        raise ParseError("Message too large", 513)
    head, body = split_head(data)
    if len(head) > limits.header_bytes:
        raise ParseError("Header section too large", 513)
    lines, has_controls = _head_lines(head)
    if len(lines) > limits.header_count + 1:
        raise ParseError("Too many header fields")
    if len(head) > limits.line:
        _check_line_lengths(lines, limits)
    headers = _parse_headers(lines)
    if has_controls:
        _check_controls(lines[0], headers)
    start = lines[0]
    message = _parse_start(start, headers, _cut_body(headers, body, limits))
    _check_mandatory(message)
    return message


def split_head(data: bytes) -> tuple[bytes, bytes]:
    """Cut a message into head (line ends made CRLF, no empty line) and the bytes after it."""
    if data[:1] in (b"\r", b"\n"):
        data = data.lstrip(b"\r\n")
    head, separator, body = data.partition(b"\r\n\r\n")
    if separator:
        return head, body
    if b"\r" in data:
        raise ParseError("Message head has no end")
    head, separator, body = data.partition(b"\n\n")
    if not separator:
        raise ParseError("Message head has no end")
    return head.replace(b"\n", b"\r\n"), body


def _head_lines(head: bytes) -> tuple[list[str], bool]:
    """Split into unfolded lines; says whether control characters were seen."""
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    # Without its control characters the head must be shorter by its line ends, no less and no more.
    has_controls = len(head) - len(head.translate(None, _CONTROLS)) != 2 * (len(lines) - 1)
    if has_controls and not head.count(b"\r") == head.count(b"\n") == len(lines) - 1:
        raise ParseError("Stray CR or LF in header")
    if "\r\n " in text or "\r\n\t" in text:
        lines = _FOLD.sub(" ", text).split("\r\n")
    return lines, has_controls


def _check_line_lengths(lines: list[str], limits: Limits) -> None:
    if len(lines[0]) > limits.line:
        raise ParseError("Request-URI too long", 414)
    if any(len(line) > limits.line for line in lines):
        raise ParseError("Header line too long")


def _parse_headers(lines: list[str]) -> Headers:
    items: list[Item] = []
    first: dict[str, str] = {}
    known = KEYS.get
    append = items.append
    for line in lines[1:]:
        name, colon, content = line.partition(":")
        key = known(name)
        if key is None:
            key = _unusual_key(name, colon)
            name = name.rstrip(" \t")
        content = content.strip(" \t")
        append((key, name, content))
        if key not in first:
            first[key] = content
        elif key in _SINGLE:
            _check_repeated(key, first[key], content)
    return Headers.from_wire(items, first)


def _unusual_key(name: str, colon: str) -> str:
    stripped = name.rstrip(" \t")
    if not colon or not _HEADER_NAME.match(stripped):
        raise ParseError("Bad header line")
    return KEYS.get(stripped) or header_key(stripped)


def _check_repeated(key: str, one: str, other: str) -> None:
    if one != other and (key != "content-length" or _length(one) != _length(other)):
        raise ParseError(f"Multiple {display_name(key)} headers")


def _check_controls(start: str, headers: Headers) -> None:
    """Let control characters pass only as quoted pairs inside a quoted string (RFC 3261 §25.1)."""
    for text in (start, *(content for _, content in headers)):
        if _CONTROL.search(text) and _CONTROL.search(_QUOTED.sub(_without_pairs, text)):
            raise ParseError("Control character in header")


def _without_pairs(match: re.Match[str]) -> str:
    return _QUOTED_PAIR.sub("", match[0]) if match[1] == '"' else match[0]


def _length(text: str) -> int:
    digits = text.lstrip("0") or "0"
    if not (text.isascii() and text.isdecimal()):
        raise ParseError("Bad Content-Length header")
    if len(digits) > 9:
        raise ParseError("Content-Length too large", 413)
    return int(digits)


def _cut_body(headers: Headers, body: bytes, limits: Limits) -> bytes:
    text = headers.first("content-length")
    length = len(body) if text is None else _length(text)
    if length > limits.body:
        raise ParseError("Body too large", 413)
    if length > len(body):
        raise ParseError("Content-Length larger than body")
    return body[:length]


def _parse_start(line: str, headers: Headers, body: bytes) -> Request | Response:
    if line[:4].upper() == "SIP/":
        match = _STATUS_LINE.match(line)
        if match is None:
            raise ParseError("Bad status line")
        if (match[1], match[2]) != ("2", "0"):
            raise ParseError("SIP version not supported", 505)
        return Response(int(match[3]), match[4] or "", headers, body)
    match = _REQUEST_LINE.match(line)
    if match is None:
        raise ParseError("Bad request line")
    method, target, major, minor = match.groups()
    if (major, minor) != ("2", "0"):
        raise ParseError("SIP version not supported", 505)
    uri = Uri.parse(target)
    if uri.opaque:
        raise ParseError("Unsupported URI scheme", 416)
    if uri.headers:
        raise ParseError("Request-URI with headers")
    return Request(method, uri, headers, body)


def _check_mandatory(message: Request | Response) -> None:
    """Read what every element needs now, so that no later access can fail on a peer's account."""
    headers = message.headers
    for key, parse in _MANDATORY:
        headers.typed(key, parse)
    if "contact" in headers:
        message.contact  # noqa: B018  read for its refusal
    if isinstance(message, Request):
        message.max_forwards  # noqa: B018
        if message.cseq.method != message.method:
            raise ParseError("CSeq method differs from request method")
