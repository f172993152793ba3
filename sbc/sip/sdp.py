"""Session descriptions as lists of lines that stay as they are unless somebody changes them (RFC 8866, RFC 3264).

The model knows where the lines of a media section begin and end and reads the few that a border controller works with. Every
other line is given back byte for byte. Line ends are written as CRLF.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from sbc.sip.errors import ParseError
from sbc.sip.sdp_crypto import Crypto

DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")

_MEDIA = re.compile(r"([A-Za-z0-9.!#$%&'*+\-^_`{|}~]+) +(\d{1,5})(?:/(\d{1,5}))? +(\S+)((?: +\S+)*) *\Z")
_CONNECTION = re.compile(r"IN +IP([46]) +([^\s/]+)(?:/\d+)*\s*\Z")
_REVERSED = {"sendonly": "recvonly", "recvonly": "sendonly"}
_LINES_MAX = 1000
_SECTIONS_MAX = 32


class Section:
    """The lines of the session level, or of one media description with its m-line first."""

    __slots__ = ("lines",)

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines
        """Without line ends, as ``a=sendrecv``."""

    def first(self, prefix: str) -> str | None:
        """Return what follows ``prefix`` (``c=``, ``a=ptime:``) in the first line that begins with it."""
        for line in self.lines:
            if line.startswith(prefix):
                return line[len(prefix) :].rstrip()
        return None

    def all(self, prefix: str) -> list[str]:
        """Return what follows ``prefix`` in every line that begins with it."""
        return [line[len(prefix) :].rstrip() for line in self.lines if line.startswith(prefix)]

    def has(self, line: str) -> bool:
        """Tell whether the very line is there (``a=rtcp-mux``)."""
        return any(mine.rstrip() == line for mine in self.lines)

    def remove(self, *prefixes: str) -> None:
        """Remove every line that begins with one of the prefixes."""
        self.lines[:] = [line for line in self.lines if not line.startswith(prefixes)]

    def add(self, *lines: str) -> None:
        """Add lines at the end of the section."""
        self.lines.extend(lines)

    @property
    def connection(self) -> str | None:
        """The address of this level's c-line; ``None`` when there is none or it is unreadable."""
        text = self.first("c=")
        match = _CONNECTION.match(text) if text is not None else None
        return match[2] if match else None

    @connection.setter
    def connection(self, address: str) -> None:
        line = f"c=IN IP{6 if ':' in address else 4} {address}"
        for position, mine in enumerate(self.lines):
            if mine.startswith("c="):
                self.lines[position] = line
                return
        # RFC 8866 §5: c= stands behind m= and i=, before b= and a=
        position = 1
        while position < len(self.lines) and self.lines[position].startswith(
            ("i=", "s=", "o=", "u=", "e=", "p=")
        ):
            position += 1
        self.lines.insert(position, line)

    @property
    def direction(self) -> str | None:
        """The direction that this level states; ``None`` when it states none."""
        for line in self.lines:
            if line.startswith("a=") and (word := line[2:].rstrip()) in DIRECTIONS:
                return word
        return None

    @direction.setter
    def direction(self, word: str) -> None:
        self.lines[:] = [
            line for line in self.lines if line[2:].rstrip() not in DIRECTIONS or line[:2] != "a="
        ]
        self.lines.append(f"a={word}")


class Media(Section):
    """One media description."""

    __slots__ = ("formats", "kind", "port", "port_count", "proto")

    def __init__(self, lines: list[str]) -> None:
        super().__init__(lines)
        match = _MEDIA.match(lines[0][2:].rstrip())
        if match is None or int(match[2]) > 65535:
            raise ParseError("Bad m= line in session description", status=488)
        self.kind = match[1].lower()
        self.port = int(match[2])
        self.port_count = match[3]
        self.proto = match[4]
        self.formats: tuple[str, ...] = tuple(match[5].split())

    def write_m_line(self) -> None:
        """Write the m-line afresh, after a change of port, proto or formats."""
        count = f"/{self.port_count}" if self.port_count else ""
        self.lines[0] = f"m={self.kind} {self.port}{count} {self.proto} {' '.join(self.formats)}".rstrip()

    @property
    def is_rtp(self) -> bool:
        """True for RTP over UDP with any profile."""
        return "RTP/" in self.proto.upper() and self.proto.upper().split("/")[0] in ("RTP", "UDP")

    @property
    def is_secure(self) -> bool:
        """True for the SRTP profiles (RFC 3711 §12, RFC 5124)."""
        return "SAVP" in self.proto.upper()

    @property
    def rtcp_mux(self) -> bool:
        """True when RTP and RTCP share the port (RFC 5761)."""
        return self.has("a=rtcp-mux")

    @property
    def rtcp(self) -> tuple[int, str | None] | None:
        """Port and address of ``a=rtcp`` (RFC 3605); ``None`` when absent or unreadable."""
        text = self.first("a=rtcp:")
        if text is None:
            return None
        port, _, rest = text.partition(" ")
        if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
            return None
        match = _CONNECTION.match(rest.strip()) if rest.strip() else None
        return int(port), match[2] if match else None

    @property
    def cryptos(self) -> list[Crypto]:
        """All readable ``a=crypto`` lines in their order; an unreadable one among several is passed over."""
        found: list[Crypto] = []
        fault: ParseError | None = None
        for text in self.all("a=crypto:"):
            try:
                found.append(Crypto.parse(text))
            except ParseError as error:
                fault = error
        if not found and fault is not None:
            raise fault
        return found

    @property
    def rtpmaps(self) -> dict[str, str]:
        """Encodings by payload type (``0`` → ``PCMU/8000``), only those stated."""
        maps: dict[str, str] = {}
        for text in self.all("a=rtpmap:"):
            payload_type, _, encoding = text.partition(" ")
            maps.setdefault(payload_type, encoding.strip())
        return maps

    @property
    def duplicate_formats(self) -> bool:
        """True when a payload type is listed twice, which Teams refuses (488)."""
        return len(set(self.formats)) != len(self.formats)

    def keep_formats(self, wanted: Iterable[str]) -> None:
        """Keep only these formats, in this order, with the attributes that belong to them."""
        kept = tuple(wanted)
        dropped = set(self.formats) - set(kept)
        self.formats = kept
        self.write_m_line()
        prefixes = ("a=rtpmap:", "a=fmtp:", "a=rtcp-fb:")
        self.lines[:] = [
            line
            for line in self.lines
            if not (line.startswith(prefixes) and line.partition(":")[2].split(" ", 1)[0] in dropped)
        ]


class SessionDescription:
    """One session description."""

    __slots__ = ("media", "session")

    def __init__(self, session: Section, media: list[Media]) -> None:
        self.session = session
        self.media = media

    @classmethod
    def parse(cls, data: bytes) -> SessionDescription:
        """Read a session description; raises ParseError (400 when it is none, 488 when its media cannot be read)."""
        text = data.decode("utf-8", "surrogateescape").removeprefix("\ufeff")
        lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        while lines and not lines[-1].strip():
            lines.pop()
        if not lines or not lines[0].startswith("v="):
            raise ParseError("Session description does not begin with v=")
        if len(lines) > _LINES_MAX:
            raise ParseError("Session description has too many lines")
        starts = [position for position, line in enumerate(lines) if line.startswith("m=")]
        if len(starts) > _SECTIONS_MAX:
            raise ParseError("Session description has too many media sections")
        for line in lines:
            if line[1:2] != "=" and line.strip():
                raise ParseError("Bad line in session description")
        ends = [*starts[1:], len(lines)]
        session = Section(lines[: starts[0]] if starts else lines)
        return cls(session, [Media(lines[start:end]) for start, end in zip(starts, ends, strict=False)])

    def encode(self) -> bytes:
        """Write it with CRLF line ends."""
        parts = [*self.session.lines]
        for media in self.media:
            parts += media.lines
        parts.append("")
        return "\r\n".join(parts).encode("utf-8", "surrogateescape")

    @property
    def audio(self) -> Media | None:
        """The first audio section that is not rejected; ``None`` when there is none."""
        return next((media for media in self.media if media.kind == "audio" and media.port), None)

    def address(self, media: Media) -> str | None:
        """Return the address that ``media`` is to be sent to: its own c-line or the session's."""
        return media.connection or self.session.connection

    def direction(self, media: Media) -> str:
        """Return a section's direction: its own, the session's, or sendrecv (RFC 8866 §6.7)."""
        return media.direction or self.session.direction or "sendrecv"

    def set_direction(self, word: str) -> None:
        """State one direction for every section, and none for the session."""
        self.session.lines[:] = [line for line in self.session.lines if line[2:].rstrip() not in DIRECTIONS]
        for media in self.media:
            media.direction = word

    @property
    def is_held(self) -> bool:
        """True when the sender does not want to hear: sendonly, inactive, or the old form ``c=0.0.0.0``."""
        audio = self.audio
        if audio is None:
            return False
        return self.direction(audio) in ("sendonly", "inactive") or self.address(audio) in ("0.0.0.0", "::")  # noqa: S104

    @property
    def origin(self) -> tuple[str, int, int, str] | None:
        """User, session id, version and the rest of the o-line; ``None`` when it is unreadable."""
        parts = (self.session.first("o=") or "").split(None, 3)
        if len(parts) != 4 or not (parts[1].isdecimal() and parts[2].isdecimal()):
            return None
        return parts[0], int(parts[1]), int(parts[2]), parts[3]

    def bump_version(self, by: int = 1) -> None:
        """Raise the version of the o-line, as every changed description of a session needs (RFC 3264 §8)."""
        origin = self.origin
        if origin is None:
            return
        user, session_id, version, rest = origin
        line = f"o={user} {session_id} {version + by} {rest}"
        self.session.lines[:] = [line if mine.startswith("o=") else mine for mine in self.session.lines]

    def same_media_as(self, other: SessionDescription) -> bool:
        """Tell whether two descriptions ask for the same session, whatever their versions say."""
        mine = [line for line in self.session.lines if not line.startswith("o=")]
        theirs = [line for line in other.session.lines if not line.startswith("o=")]
        return mine == theirs and [m.lines for m in self.media] == [m.lines for m in other.media]


def answer_direction(offered: str, wanted: str = "sendrecv") -> str:
    """Return the direction of an answer: what we want, as far as the offer allows (RFC 3264 §6.1)."""
    allowed = _REVERSED.get(offered, offered)
    if "inactive" in (allowed, wanted):
        return "inactive"
    if allowed == "sendrecv":
        return wanted
    return allowed if wanted in ("sendrecv", allowed) else "inactive"
