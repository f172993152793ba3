"""Messages cut out of a byte stream.

The framer finds where messages end and no more: what is inside them is the parser's business. Every byte is
looked at a bounded number of times, however small the pieces it comes in. A stream that cannot be framed
cannot be continued: after a ParseError the connection must be closed, once the error's request is answered.

RFC 3261 §18.3 and §20.14 (Content-Length rules on streams), §7.5 (CRLF before the start line); RFC 5626
§3.5.1 (keep-alive).
"""

from __future__ import annotations

import enum
import re

from sbc.sip.errors import ParseError
from sbc.sip.parser import LIMITS, Limits
from sbc.sip.salvage import salvage_request

_LENGTH = re.compile(rb"\n(?:content-length|l)[ \t]*+:((?:[^\r\n]++|\r?\n[ \t])*+)", re.IGNORECASE)


class KeepAlive(enum.Enum):
    """What may come between messages (RFC 5626 §3.5.1)."""

    PING = "ping"  # double CRLF: the peer asks for a single one back
    PONG = "pong"  # single CRLF


class StreamFramer:
    """Cuts one connection's bytes into messages."""

    __slots__ = ("_buffer", "_error", "_head", "_limits", "_need", "_scan", "_sent_pings", "_separator")

    def __init__(self, limits: Limits = LIMITS, *, sent_pings: bool = False) -> None:
        """Set `sent_pings` on a connection where we ping: a single CRLF is then a PONG at once.

        Without it a single CRLF waits for what follows, since it may be the first half of a ping.
        """
        self._buffer = bytearray()
        self._limits = limits
        self._sent_pings = sent_pings
        self._scan = 0  # bytes known not to end the head
        self._separator = b""  # what ends the head, once the first line told
        self._head = 0  # length of the head with its empty line, once known
        self._need = 0  # length of the whole message, once known
        self._error: ParseError | None = None

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if self._error is None:
            self._buffer += data

    def next(self) -> bytes | KeepAlive | None:
        """Give the next whole message or keep-alive, or None when more bytes are needed.

        Raises ParseError, and the same again on every later call.
        """
        if self._error is not None:
            raise self._error
        if not self._need:
            if self._scan == 0:
                keep_alive = self._between()
                if keep_alive is not None:
                    return keep_alive
            self._find_head()
        if not self._need or len(self._buffer) < self._need:
            return None
        message = bytes(self._buffer[: self._need])
        del self._buffer[: self._need]
        self._separator = b""
        self._scan = self._head = self._need = 0
        return message

    @property
    def pending(self) -> int:
        """Bytes taken but not yet given out."""
        return len(self._buffer)

    def _between(self) -> KeepAlive | None:
        """Take line ends before a message."""
        buffer = self._buffer
        while buffer.startswith((b"\r", b"\n")):
            if buffer.startswith(b"\n"):
                del buffer[:1]
            elif buffer.startswith(b"\r\n\r\n"):
                del buffer[:4]
                return KeepAlive.PING
            elif buffer.startswith(b"\r\n") and (self._sent_pings or bytes(buffer[2:4]) not in {b"", b"\r"}):
                del buffer[:2]
                return KeepAlive.PONG
            elif b"\r\n\r".startswith(buffer):
                return None
            else:
                self._fail(ParseError("Stray CR between messages"))
        return None

    def _find_head(self) -> None:
        buffer = self._buffer
        if not buffer or buffer.startswith(b"\r"):
            return
        if not self._separator and not self._find_first_line():
            return
        separator = self._separator
        end = buffer.find(separator, max(0, self._scan - len(separator) + 1))
        if end < 0:
            self._scan = len(buffer)
            if len(buffer) > self._limits.header_bytes:
                self._fail(ParseError("Header section too large", 513))
            return
        self._head = end + len(separator)
        if end > self._limits.header_bytes:
            self._fail(ParseError("Header section too large", 513))
        self._need = self._head + self._body_length(bytes(buffer[: self._head]))

    def _find_first_line(self) -> bool:
        """Learn from the first line how lines end here; a message keeps to one kind throughout."""
        buffer = self._buffer
        line_end = buffer.find(b"\n", self._scan)
        if line_end < 0:
            self._scan = len(buffer)
        if (line_end if line_end >= 0 else len(buffer)) > self._limits.line + 1:
            self._fail(ParseError("Request-URI too long", 414))
        if line_end < 0:
            return False
        self._separator = b"\r\n\r\n" if buffer.endswith(b"\r", 0, line_end) else b"\n\n"
        self._scan = line_end - 1
        return True

    def _body_length(self, head: bytes) -> int:
        values = {content.strip(b" \t\r\n") for content in _LENGTH.findall(head)}
        if not values:
            self._fail(ParseError("Missing Content-Length header"))
        lengths: set[int] = set()
        for content in values:
            digits = content.lstrip(b"0") or b"0"
            if not content.isdigit():
                self._fail(ParseError("Bad Content-Length header"))
            if len(digits) > 9 or int(digits) > self._limits.body:
                self._fail(ParseError("Body too large", 413))
            lengths.add(int(digits))
        if len(lengths) > 1:
            self._fail(ParseError("Multiple Content-Length headers"))
        return lengths.pop()

    def _fail(self, error: ParseError) -> None:
        error.request = salvage_request(bytes(self._buffer[: self._limits.header_bytes]))
        self._error = error
        self._buffer.clear()
        raise error
