"""SDP as the relay needs it: one audio stream found in what a peer sent, and written again with our addresses.

Pure. Not here: an SDP model (that is `sbc.sip.sdp`); lines that do not concern the relay pass as they came, codecs
among them. RFC 8866 (SDP), RFC 3264 (offer/answer), RFC 3605 (a=rtcp), RFC 4568 (crypto), RFC 5761 (rtcp-mux).
Removed: everything of ICE, DTLS and bundling, whatever names the peer (o=, u=, e=, p=), keys, RTCP addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from sbc.media.errors import UnusableSdp

_M_LINE = re.compile(r"(\S+) +(\d{1,5})(?:/\d{1,5})? +(\S+) +(.*\S)\s*\Z")
_CONNECTION = re.compile(r"IN +(IP[46]) +([^\s/]+)", re.IGNORECASE)
_DROPPED = re.compile(
    r"a=(?:crypto|rtcp|rtcp-mux|rtcp-mux-only|rtcp-fb|ice-[a-z-]+|candidate|end-of-candidates|remote-candidates"
    r"|fingerprint|setup|connection|tls-id|group|mid|bundle-only|msid|msid-semantic|key-mgmt)(?:[:\s]|\Z)",
    re.IGNORECASE,
)
_DIRECTION = re.compile(r"a=(?:sendrecv|sendonly|recvonly|inactive)\s*\Z", re.IGNORECASE)
_STATIC_CLOCKS = {0: 8000, 3: 8000, 4: 8000, 8: 8000, 9: 8000, 13: 8000, 15: 8000, 18: 8000}
_HELD_ADDRESSES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not bound


@dataclass(slots=True)
class Section:
    """One m= line and what belongs to it."""

    kind: str
    port: int
    protocol: str
    formats: str
    lines: list[str] = field(default_factory=list)

    @property
    def secure(self) -> bool:
        """Whether the line asks for SRTP."""
        return "SAVP" in self.protocol.upper()

    @property
    def carried(self) -> bool:
        """Whether the relay can carry it."""
        return self.kind == "audio" and self.port > 0 and "RTP/" in self.protocol.upper()

    def values(self, attribute: str) -> list[str]:
        """Return what follows `a=attribute:`, line by line."""
        prefix = f"a={attribute}:"
        return [line[len(prefix) :] for line in self.lines if line[: len(prefix)].lower() == prefix]

    def has(self, attribute: str) -> bool:
        """Say whether the property attribute is there."""
        return any(line.strip().lower() == f"a={attribute}" for line in self.lines)

    @property
    def payload_types(self) -> frozenset[int]:
        """The payload types that the peer may send."""
        return frozenset(int(item) for item in self.formats.split() if item.isdecimal() and len(item) < 4)

    @property
    def clocks(self) -> dict[int, int]:
        """The clock rate of each audio payload type; events are left out, since their timestamps stand still. Hz."""
        clocks = {number: _STATIC_CLOCKS.get(number, 0) for number in self.payload_types}
        for value in self.values("rtpmap"):
            number, _, encoding = value.partition(" ")
            name, _, rest = encoding.strip().partition("/")
            rate = rest.partition("/")[0]
            if number.strip().isdecimal() and len(number) < 5 and rate.isdecimal() and len(rate) < 8:
                clocks[int(number)] = 0 if name.lower() == "telephone-event" else int(rate)
        return {number: rate for number, rate in clocks.items() if rate > 0}


@dataclass(slots=True)
class Description:
    """A whole session description."""

    lines: list[str]
    sections: list[Section]

    @property
    def identity(self) -> str:
        """The o= line less its version: who made the description (RFC 8866 §5.2)."""
        for line in self.lines:
            if line.startswith("o="):
                fields = line[2:].split()
                return " ".join(fields[:2] + fields[3:])
        return ""

    def address(self, section: Section) -> tuple[str, str] | None:
        """Return (IP4 or IP6, address) where the section's media is wanted; None when it names none."""
        for line in (*section.lines, *self.lines):
            if line.startswith("c="):
                match = _CONNECTION.match(line[2:].strip())
                return (match.group(1).upper(), match.group(2)) if match else None
        return None


def parse(data: bytes) -> Description:
    """Read SDP; UnusableSdp when there is nothing to carry in it."""
    session: list[str] = []
    sections: list[Section] = []
    for raw in data.decode("utf-8", "surrogateescape").split("\n"):
        line = raw.rstrip("\r")
        if not line:
            continue
        if line.startswith("m="):
            sections.append(_section(line[2:]))
        elif sections:
            sections[-1].lines.append(line)
        else:
            session.append(line)
    if not sections:
        raise UnusableSdp("SDP has no m= line")
    return Description(session, sections)


def _section(value: str) -> Section:
    match = _M_LINE.match(value)
    if match is None:
        raise UnusableSdp("SDP has a bad m= line")
    kind, port, protocol, formats = match.groups()
    if int(port) > 65535:
        raise UnusableSdp("SDP has a bad port")
    return Section(kind.lower(), int(port), protocol, formats)


def rtcp_address(section: Section, host: str, port: int) -> tuple[str, int]:
    """Return where RTCP is wanted (RFC 3605): `a=rtcp`, else the port above RTP's."""
    for value in section.values("rtcp"):
        number, _, rest = value.strip().partition(" ")
        if number.isdecimal() and len(number) < 6 and 0 < int(number) < 65536:
            match = _CONNECTION.match(rest.strip())
            return (match.group(2) if match else host), int(number)
    return host, min(port + 1, 65535)


def is_held(address: tuple[str, str] | None) -> bool:
    """Say whether the address means "do not send" in the old way (RFC 3264 §8.4)."""
    return address is not None and address[1] in _HELD_ADDRESSES


@dataclass(frozen=True, slots=True)
class Written:
    """What the relay says of itself to one leg."""

    host: str
    port: int
    rtcp_port: int
    protocol: str
    origin: str
    """Session id and version."""
    mux: bool
    crypto: str | None


def write(source: Description, stream: Section, shape: list[Section | None], own: Written) -> bytes:
    """Write `source` for the other leg.

    `shape` is that leg's order of m= lines: None stands for the relayed stream, a Section for a refused one.
    """
    family = "IP6" if ":" in own.host else "IP4"
    out = ["v=0", f"o=- {own.origin} IN {family} {own.host}", "s=-", f"c=IN {family} {own.host}"]
    body = [line for line in source.lines if line[:2] not in _SESSION_WRITTEN and not _DROPPED.match(line)]
    timing = body if any(line.startswith("t=") for line in body) else [*body, "t=0 0"]
    out += sorted(timing, key=lambda line: _SESSION_ORDER.get(line[:2], 9))
    held = is_held(source.address(stream))
    for refused in shape:
        if refused is None:
            out += _stream_lines(stream, own, held=held)
        else:
            out.append(f"m={refused.kind} 0 {refused.protocol} {refused.formats}")
    return "".join(f"{line}\r\n" for line in out).encode("utf-8", "surrogateescape")


_SESSION_WRITTEN = frozenset({"v=", "o=", "s=", "c=", "u=", "e=", "p=", "i="})
_SESSION_ORDER = {"b=": 1, "t=": 2, "r=": 3, "z=": 4, "k=": 5, "a=": 6}


def _stream_lines(stream: Section, own: Written, *, held: bool) -> Iterable[str]:
    if stream.port == 0:
        return [f"m={stream.kind} 0 {own.protocol} {stream.formats}"]
    kept = [line for line in stream.lines if not _DROPPED.match(line) and line[:2] not in ("c=", "i=", "k=")]
    if held and not any(_DIRECTION.match(line) and "sendrecv" not in line.lower() for line in kept):
        kept = [line for line in kept if not _DIRECTION.match(line)] + ["a=sendonly"]
    lines = [f"m={stream.kind} {own.port} {own.protocol} {stream.formats}", *kept, f"a=rtcp:{own.rtcp_port}"]
    if own.mux:
        lines.append("a=rtcp-mux")
    if own.crypto is not None:
        lines.append(f"a=crypto:{own.crypto}")
    return lines
