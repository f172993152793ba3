"""Requests and responses: a start line, headers and a body, with the headers everyone needs read on demand.

A message is mutable while it is being built; a typed accessor reads its header once and again after a
change. Whether a message is one that RFC 3261 allows is the parser's business, and what to answer is the
transaction user's.

RFC 3261 §7 (messages), §8.2.6 (responses), §12.1.1 (Record-Route in responses), §21 (status codes).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

from sbc.sip.errors import LocalError, ParseError
from sbc.sip.headers import CSeq, Headers, Via, split_list
from sbc.sip.reasons import REASON_PHRASES
from sbc.sip.uri import NameAddr, Uri

_METHOD = re.compile(r"[A-Za-z0-9.!%*_+`'~-]++\Z")
_TAG = re.compile(r";[ \t]*+tag[ \t]*+=", re.IGNORECASE)
_COPIED = (("Via", "via"), ("From", "from"), ("To", "to"), ("Call-ID", "call-id"), ("CSeq", "cseq"))
_MAX_FORWARDS_MAX = 255

HeaderPairs: TypeAlias = Iterable[tuple[str, str]]


def parse_max_forwards(text: str) -> int:
    """Read Max-Forwards, 0 to 255 (RFC 3261 §20.22); raises ParseError (400)."""
    digits = text.lstrip("0") or "0"
    if not (text.isascii() and text.isdecimal()) or len(digits) > 3 or int(digits) > _MAX_FORWARDS_MAX:
        raise ParseError("Bad Max-Forwards header")
    return int(digits)


def parse_call_id(text: str) -> str:
    """Read Call-ID: one word, case-sensitive; raises ParseError (400)."""
    if not text or " " in text or "\t" in text:
        raise ParseError("Bad Call-ID header")
    return text


def parse_first_address(text: str) -> NameAddr:
    """Read the first value of a list of addresses; raises ParseError (400)."""
    values = split_list(text)
    return NameAddr.parse(values[0] if values else text)


class Message:
    """What requests and responses share. Accessors raise ParseError when a header is missing or unreadable.

    For a message from `parse_message` none can: all were read before it was handed out.
    """

    __slots__ = ("body", "headers")

    def __init__(self, headers: Headers | HeaderPairs = (), body: bytes = b"") -> None:
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body

    @property
    def vias(self) -> list[str]:
        """All Via values, topmost first."""
        return self.headers.values("via")

    @property
    def top_via(self) -> Via:
        """The topmost Via."""
        return self.headers.typed("via", Via.parse)

    @property
    def from_(self) -> NameAddr:
        """The From header."""
        return self.headers.typed("from", NameAddr.parse)

    @property
    def to(self) -> NameAddr:
        """The To header."""
        return self.headers.typed("to", NameAddr.parse)

    @property
    def call_id(self) -> str:
        """The Call-ID header."""
        return self.headers.typed("call-id", parse_call_id)

    @property
    def cseq(self) -> CSeq:
        """The CSeq header."""
        return self.headers.typed("cseq", CSeq.parse)

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; None when there is none or it is `*`."""
        text = self.headers.first("contact")
        if not text or text == "*":
            return None
        return self.headers.typed("contact", parse_first_address)

    @property
    def content_type(self) -> str | None:
        """The media type, lower case and without parameters; None when there is no Content-Type."""
        text = self.headers.first("content-type")
        return None if text is None else text.partition(";")[0].strip(" \t").lower()

    @property
    def max_forwards(self) -> int | None:
        """The Max-Forwards header; None when there is none."""
        if self.headers.first("max-forwards") is None:
            return None
        return self.headers.typed("max-forwards", parse_max_forwards)

    @property
    def start_line(self) -> str:
        """The first line, without its line end."""
        raise LocalError("a message is a request or a response")

    def encode(self) -> bytes:
        """Write the message, with a Content-Length of its own.

        Raises LocalError if anything in the head would break a line: one value may never become two headers.
        """
        lines = [self.start_line, *self.headers.wire_lines(), f"Content-Length: {len(self.body)}\r\n\r\n"]
        head = "\r\n".join(lines)
        breaks = len(lines) + 1
        if head.count("\n") != breaks or head.count("\r") != breaks:
            raise LocalError("line break in the head of a message")
        return head.encode("utf-8", "surrogateescape") + self.body

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Message):
            return NotImplemented
        same_head = self.start_line == other.start_line and self.headers == other.headers
        return same_head and self.body == other.body

    __hash__ = object.__hash__  # messages are kept in sets and maps by identity

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.start_line!r}>"


class Request(Message):
    """A request. `method` is case-sensitive, as all methods are."""

    __slots__ = ("method", "uri")

    def __init__(self, method: str, uri: Uri, headers: Headers | HeaderPairs = (), body: bytes = b"") -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri = uri

    @property
    def start_line(self) -> str:
        """The request line, without its line end; raises LocalError for what is no method or URI."""
        target = str(self.uri)
        if not _METHOD.match(self.method) or " " in target:
            raise LocalError(f"not a request line: {self.method!r} {target!r}")
        return f"{self.method} {target} SIP/2.0"

    def response(
        self,
        status: int,
        reason: str | None = None,
        *,
        to_tag: str | None = None,
        headers: HeaderPairs = (),
        body: bytes = b"",
    ) -> Response:
        """Build the response (RFC 3261 §8.2.6.2): Via, From, To, Call-ID and CSeq are copied as they came.

        `to_tag` is added when To has none. Record-Route is copied into 101..299 (§12.1.1), Timestamp into
        100.
        """
        mine = self.headers
        pairs: list[tuple[str, str]] = []
        for name, key in _COPIED:
            pairs += [(name, text) for text in mine.lines(key)]
        if to_tag:
            pairs = [(name, _tagged(text, to_tag)) if name == "To" else (name, text) for name, text in pairs]
        if 100 < status < 300:
            pairs += [("Record-Route", text) for text in mine.lines("record-route")]
        elif status == 100:
            pairs += [("Timestamp", text) for text in mine.lines("timestamp")]
        pairs += headers
        return Response(
            status, REASON_PHRASES.get(status, "Unknown") if reason is None else reason, pairs, body
        )

    def stamp_source(self, host: str, port: int) -> None:
        """Note in the top Via where the request came from (RFC 3261 §18.2.1, RFC 3581 §4)."""
        via = self.top_via
        if via.has_rport or via.host.lower() != host.lower():
            self.headers.replace_first_value("Via", str(via.with_source(host, port)))


class Response(Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self, status: int, reason: str, headers: Headers | HeaderPairs = (), body: bytes = b""
    ) -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    @property
    def start_line(self) -> str:
        """The status line, without its line end; raises LocalError for a status no response can have."""
        if not 100 <= self.status <= 699:
            raise LocalError(f"not a status: {self.status}")
        return f"SIP/2.0 {self.status} {self.reason}"


def _tagged(text: str, tag: str) -> str:
    """Add the tag to a To value unless it has one, even where the value cannot be read."""
    try:
        has_tag = NameAddr.parse(text).has_param("tag")
    except ParseError:
        has_tag = bool(_TAG.search(text))
    return text if has_tag else f"{text};tag={tag}"
