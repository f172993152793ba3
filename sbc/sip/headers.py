"""Header fields of a message: an ordered, case-insensitive list that keeps names and values as received.

Values are text decoded from UTF-8 with surrogate escapes, without the white space around them and with
folded lines joined, so that encoding gives back the bytes received. Typed headers needed on every message
live here too: Via and CSeq. Which headers a message must have is the parser's business.

RFC 3261 §7.3 (header fields, compact forms), §20.16 and §20.42, §25.1; RFC 3581 (rport).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from typing import NamedTuple, TypeVar

from sbc.sip.errors import LocalError, ParseError
from sbc.sip.names import KEYS, header_key
from sbc.sip.params import Params, format_params, parse_params
from sbc.sip.value import value

T = TypeVar("T")
Item = tuple[str, str, str]  # key, name as received, value

# An unbalanced quote or angle takes the rest, lest each of many be tried to the end of the line.
_LIST_PIECE = re.compile(r'(?:[^,"<]++|"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|<[^>]*+(?:>|\Z))*+', re.DOTALL)
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]++\Z")
# Headers whose grammar holds commas that separate nothing (RFC 3261 §7.3.1, §20.17, §20.36).
_NOT_LISTS = frozenset(
    {
        *("www-authenticate", "authorization", "proxy-authenticate", "proxy-authorization"),
        *("authentication-info", "date", "subject", "user-agent", "server", "organization"),
        *("call-id", "retry-after", "identity"),
    }
)


def split_list(text: str) -> list[str]:
    """Split at commas outside quotes and angle brackets; empty elements are left out.

    What follows a quote or an angle bracket that is never closed stays together.
    """
    if "," not in text:
        return [text] if text else []
    pieces: list[str] = []
    position = 0
    while True:
        match = _LIST_PIECE.match(text, position)
        assert match is not None  # the pattern matches the empty string
        piece = match[0].strip(" \t")
        if piece:
            pieces.append(piece)
        position = match.end() + 1
        if position > len(text):
            return pieces


class Headers:
    """The header fields of one message, in order. Names compare without case, compact forms as the long."""

    __slots__ = ("_first", "_items", "_typed")

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[Item] = []
        self._first: dict[str, str] | None = None
        self._typed: dict[str, object] = {}
        for name, content in items:
            self._items.append(_checked(name, content))

    @classmethod
    def from_wire(cls, items: list[Item], first: dict[str, str]) -> Headers:
        """Take over what the parser read; `first` maps each key to its first value."""
        headers = cls.__new__(cls)
        headers._items = items
        headers._first = first
        headers._typed = {}
        return headers

    def _index(self) -> dict[str, str]:
        first = self._first
        if first is None:
            first = {}
            for key, _, content in self._items:
                first.setdefault(key, content)
            self._first = first
        return first

    def first(self, name: str) -> str | None:
        """Give the first line's whole value, or None."""
        first = self._first
        if first is None:
            first = self._index()
        return first.get(KEYS.get(name) or header_key(name))

    def lines(self, name: str) -> list[str]:
        """Give the value of every line with this name."""
        wanted = KEYS.get(name) or header_key(name)
        return [content for key, _, content in self._items if key == wanted]

    def values(self, name: str) -> list[str]:
        """Give all values of all lines, comma lists split; headers that are not lists give their lines."""
        wanted = KEYS.get(name) or header_key(name)
        if wanted in _NOT_LISTS:
            return self.lines(name)
        found: list[str] = []
        for key, _, content in self._items:
            if key == wanted:
                found += split_list(content)
        return found

    def typed(self, key: str, parse: Callable[[str], T]) -> T:
        """Give the header's first line read by `parse`, reading it once; `key` is a canonical key.

        Raises ParseError when the header is missing or `parse` refuses it.
        """
        cached = self._typed.get(key)
        if cached is None:
            first = self._first
            text = (self._index() if first is None else first).get(key)
            if text is None:
                raise ParseError(f"Missing {display_name(key)} header")
            cached = self._typed[key] = parse(text)
        return cached  # type: ignore[return-value]  # a key is always read by the same function

    def add(self, name: str, content: str) -> None:
        """Append a line."""
        item = _checked(name, content)
        self._items.append(item)
        self._forget(item[0])

    def prepend(self, name: str, content: str) -> None:
        """Put a line before all others."""
        item = _checked(name, content)
        self._items.insert(0, item)
        self._forget(item[0])

    def replace(self, name: str, content: str) -> None:
        """Put one line where the first of that name was (else at the end), and drop the others."""
        fresh = _checked(name, content)
        items = self._items
        at = next((index for index, item in enumerate(items) if item[0] == fresh[0]), len(items))
        rest = [item for item in items[at:] if item[0] != fresh[0]]
        self._items = [*items[:at], fresh, *rest]
        self._forget(fresh[0])

    def replace_first_value(self, name: str, content: str) -> None:
        """Change the first value of a comma list in its first line; all after it keeps its bytes.

        Raises LocalError when there is no such header.
        """
        wanted = KEYS.get(name) or header_key(name)
        position = next((index for index, item in enumerate(self._items) if item[0] == wanted), None)
        if position is None:
            raise LocalError(f"no {name} header to change")
        _, known_as, text = self._items[position]
        match = _LIST_PIECE.match(text)
        rest = text[match.end() :] if match else ""
        self._items[position] = (wanted, known_as, _checked(name, content)[2] + rest)
        self._forget(wanted)

    def remove(self, name: str) -> None:
        """Drop every line with this name; none is no error."""
        wanted = KEYS.get(name) or header_key(name)
        self._items = [item for item in self._items if item[0] != wanted]
        self._forget(wanted)

    def _forget(self, key: str) -> None:
        self._first = None
        self._typed.pop(key, None)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (KEYS.get(name) or header_key(name)) in self._index()

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter([(name, content) for _, name, content in self._items])

    def __len__(self) -> int:
        return len(self._items)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._compared() == other._compared()

    __hash__ = None  # type: ignore[assignment]  # mutable

    def _compared(self) -> list[tuple[str, str]]:
        """Give what equality looks at: Content-Length follows the body, so it says nothing of its own."""
        return [(key, text) for key, _, text in self._items if key != "content-length"]

    def __repr__(self) -> str:
        return f"Headers({list(self)!r})"

    def copy(self) -> Headers:
        """Give an independent copy."""
        fresh = Headers.__new__(Headers)
        fresh._items = self._items.copy()
        fresh._first = None
        fresh._typed = self._typed.copy()
        return fresh

    def wire_lines(self) -> list[str]:
        """Give each line as sent, without line ends or Content-Length, which the message writes itself."""
        return [f"{name}: {content}" for key, name, content in self._items if key != "content-length"]


def _checked(name: str, content: str) -> Item:
    """Refuse what would become another header or the end of the head."""
    key = KEYS.get(name)
    if key is None:
        if not _TOKEN.match(name):
            raise LocalError(f"not a header name: {name!r}")
        key = header_key(name)
    if "\r" in content or "\n" in content:
        raise LocalError(f"line break in the value of {name}")
    return key, name, content


def display_name(key: str) -> str:
    """Write a canonical key as the RFCs do: `call-id` becomes Call-ID."""
    special = {"call-id": "Call-ID", "cseq": "CSeq"}
    return special.get(key) or key.title()


_VIA = re.compile(
    r"[Ss][Ii][Pp][ \t]*+/[ \t]*+2\.0[ \t]*+/[ \t]*+([A-Za-z0-9.!%*_+`'~-]++)[ \t]++"
    r"(\[[0-9A-Fa-f:.]++\]|[\w.-]++)[ \t]*+(?::[ \t]*+([0-9]{1,5}+)[ \t]*+)?(;.*+)?\Z",
    re.ASCII | re.DOTALL,
)
_PORT_MAX = 65535


@value
class Via:
    """One Via value. `transport` is in capitals, `host` without the brackets of an IPv6 reference."""

    transport: str
    host: str
    port: int | None = None
    params: Params = ()
    text: str = field(default="", compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Via:
        """Read one value, or the first of a comma list; raises ParseError (400)."""
        if "," in text:
            pieces = split_list(text)
            text = pieces[0] if pieces and not text.lstrip(" \t").startswith(",") else ""
        match = _VIA.match(text)
        if match is None:
            raise ParseError("Bad Via header")
        transport, host, port_text, params = match.groups()
        port = None if port_text is None else int(port_text)
        if port is not None and not 1 <= port <= _PORT_MAX:
            raise ParseError("Bad port in Via header")
        if host[0] == "[":
            host = host[1:-1]
        return cls(transport.upper(), host, port, parse_params(params) if params else (), text)

    def __str__(self) -> str:
        if self.text:
            return self.text
        return f"SIP/2.0/{self.transport} {self.sent_by}{format_params(self.params)}"

    @property
    def sent_by(self) -> str:
        """Host and port as written, with brackets around IPv6."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def param(self, name: str) -> str | None:
        """Give the value of a parameter; None when it is absent or has no value."""
        for key, content in self.params:
            if key == name or key.lower() == name:
                return content
        return None

    @property
    def branch(self) -> str | None:
        """The branch parameter, None when there is none or it is empty."""
        return self.param("branch") or None

    @property
    def received(self) -> str | None:
        """The address the message came from, without brackets, as the next element wrote it."""
        text = self.param("received")
        return text.strip("[]") if text else None

    @property
    def has_rport(self) -> bool:
        """Whether the parameter is there, with or without a value (RFC 3581)."""
        return any(key.lower() == "rport" for key, _ in self.params)

    @property
    def rport(self) -> int | None:
        """The port the message came from; None when absent, empty or no port."""
        text = self.param("rport")
        if not text or not text.isascii() or not text.isdecimal() or len(text) > 5:
            return None
        port = int(text)
        return port if 1 <= port <= _PORT_MAX else None

    def with_source(self, host: str, port: int) -> Via:
        """Give the value with `received` and, if asked for, `rport` set (RFC 3261 §18.2.1, RFC 3581 §4)."""
        asked = self.has_rport
        kept = tuple(pair for pair in self.params if pair[0].lower() not in {"received", "rport"})
        if asked:
            kept += (("rport", str(port)),)
        if asked or self.host.lower() != host.lower():
            kept += (("received", host),)
        return Via(self.transport, self.host, self.port, kept)


_CSEQ = re.compile(
    r"0*+([0-9]{1,10})[ \t]++([A-Za-z0-9.!%*_+`'~-]++)\Z|(0++)[ \t]++([A-Za-z0-9.!%*_+`'~-]++)\Z"
)
_CSEQ_END = 2**31


class CSeq(NamedTuple):
    """A sequence number and the method it counts."""

    number: int
    method: str

    @classmethod
    def parse(cls, text: str) -> CSeq:
        """Read the value; raises ParseError (400). Numbers must be below 2**31 (RFC 3261 §8.1.1.5)."""
        match = _CSEQ.match(text)
        if match is None:
            raise ParseError("Bad CSeq header")
        number, method = (int(match[1]), match[2]) if match[1] else (0, match[4])
        if number >= _CSEQ_END:
            raise ParseError("CSeq number too large")
        return cls(number, method)

    def __str__(self) -> str:
        return f"{self.number} {self.method}"
