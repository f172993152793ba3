"""SIP, SIPS and tel URIs, and the name-addr form that carries them.

Reading is tolerant where the field demands it (no user part, `/` and a raw `#` in user or parameters,
parameters of any length) and strict where a wrong guess would send a call elsewhere (hosts, ports,
quoting). A parsed value writes itself exactly as it was read. Nothing is resolved or validated against DNS
here.

RFC 3261 §19.1 (URI), §19.1.4 (comparison), §20.10 and §25.1 (name-addr); RFC 3966 (tel); RFC 5118 (IPv6
references).
"""

from __future__ import annotations

import re
from dataclasses import field
from functools import lru_cache
from typing import TypedDict, Unpack

from sbc.sip.errors import LocalError, ParseError
from sbc.sip.params import Params, format_params, parse_params
from sbc.sip.value import value

_SIP = re.compile(
    r'([Ss][Ii][Pp][Ss]?):(?:([^@:\s<>"]++)(?::([^@\s<>"]*+))?@)?'
    r'(\[[0-9A-Fa-f:.]++\]|[\w.-]++)(?::([0-9]++))?(;[^?\s<>"]*+)?(?:\?([^\s<>"]*+))?\Z',
    re.ASCII,
)
_OTHER = re.compile(r'([a-z][a-z0-9+.-]*+):([^\s<>"]++)\Z', re.ASCII | re.IGNORECASE)
_TEL = re.compile(r"(\+?[0-9A-D*#().-]++)(;.*+)?\Z", re.ASCII | re.IGNORECASE)
_NAME_ADDR = re.compile(
    r'[ \t]*+(?:"([^"\\]*+(?:\\.[^"\\]*+)*+)"[ \t]*+|([^<"]*+))<([^<>]*+)>(.*+)\Z', re.DOTALL
)
_ESCAPED = re.compile(r"%([0-9a-fA-F]{2})")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_NEEDS_PAIR = re.compile(r'["\\\x00-\x08\x0a-\x1f\x7f]')
_MUST_MATCH = frozenset({"user", "ttl", "method", "maddr", "transport"})
_PORT_MAX = 65535
# Every message of a dialog repeats its addresses: the last few thousand are remembered, up to this length.
_REMEMBERED = 4096
_REMEMBER_LENGTH = 512


@lru_cache(maxsize=512)
def _uri_params(text: str) -> Params:
    """Split `;a=b;c` as found in a URI; empty pieces are skipped, since a parsed URI keeps its text."""
    pairs: list[tuple[str, str | None]] = []
    for piece in text.split(";"):
        if piece:
            name, equals, content = piece.partition("=")
            pairs.append((name, content if equals else None))
    return tuple(pairs)


def unescape(text: str) -> str:
    """Undo `%hh` escapes (UTF-8; bytes that are not stay as surrogate escapes)."""
    if "%" not in text:
        return text
    raw = text.encode("utf-8", "surrogateescape")
    plain = re.sub(rb"%([0-9a-fA-F]{2})", lambda match: bytes([int(match[1], 16)]), raw)
    return plain.decode("utf-8", "surrogateescape")


class UriChanges(TypedDict, total=False):
    """The parts of a URI that `Uri.replace` can change."""

    scheme: str
    user: str | None
    password: str | None
    host: str
    port: int | None
    params: Params
    headers: str
    opaque: str


@value
class Uri:
    """One URI. `host` is without the brackets of an IPv6 reference; `user` keeps its `%hh` escapes.

    A `tel:` URI has its number in `user` and an empty `host`. Any other scheme keeps all after the colon in
    `opaque`. `text` is what was read, and empty for a URI we built.
    """

    scheme: str
    user: str | None = None
    password: str | None = None
    host: str = ""
    port: int | None = None
    params: Params = ()
    headers: str = ""
    opaque: str = ""
    text: str = field(default="", compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> Uri:
        """Read a URI; raises ParseError (400)."""
        return _remembered_uri(text) if len(text) <= _REMEMBER_LENGTH else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> Uri:
        match = _SIP.match(text)
        if match is None:
            return _parse_other(text)
        scheme, user, password, host, port_text, params, headers = match.groups()
        port = None
        if port_text is not None:
            port = int(port_text) if len(port_text) <= 5 else 0
            if not 1 <= port <= _PORT_MAX:
                raise ParseError("Bad port in URI")
        if host[0] == "[":
            host = host[1:-1]
        return cls(
            scheme.lower(),
            user,
            password,
            host,
            port,
            _uri_params(params) if params else (),
            headers or "",
            "",
            text,
        )

    def __str__(self) -> str:
        return self.text or self._compose()

    def _compose(self) -> str:
        if self.opaque:
            return f"{self.scheme}:{self.opaque}"
        params = "".join(f";{name}" if text is None else f";{name}={text}" for name, text in self.params)
        if self.scheme == "tel":
            return f"tel:{self.user}{params}"
        userinfo = "" if self.user is None else self.user
        if self.password is not None:
            userinfo += f":{self.password}"
        if self.user is not None:
            userinfo += "@"
        headers = f"?{self.headers}" if self.headers else ""
        return f"{self.scheme}:{userinfo}{self.hostport}{params}{headers}"

    @property
    def hostport(self) -> str:
        """Host and port as written in a URI, with brackets around IPv6."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port is None else f"{host}:{self.port}"

    def param(self, name: str) -> str | None:
        """Give the value of a parameter; None when it is absent or has no value (see `has_param`)."""
        name = name.lower()
        for key, content in self.params:
            if key.lower() == name:
                return content
        return None

    def has_param(self, name: str) -> bool:
        """Tell whether the parameter is there, with or without a value."""
        name = name.lower()
        return any(key.lower() == name for key, _ in self.params)

    def replace(self, **changes: Unpack[UriChanges]) -> Uri:
        """Give a URI with some parts changed; it is written afresh."""
        parts: UriChanges = {
            "scheme": self.scheme,
            "user": self.user,
            "password": self.password,
            "host": self.host,
            "port": self.port,
            "params": self.params,
            "headers": self.headers,
            "opaque": self.opaque,
        }
        parts.update(changes)
        return Uri(**parts)

    def with_params(self, **params: str | None) -> Uri:
        """Give a URI with these parameters set (None: no value); underscores stand for hyphens."""
        fresh = {name.replace("_", "-"): content for name, content in params.items()}
        kept = tuple((name, content) for name, content in self.params if name.lower() not in fresh)
        return self.replace(params=kept + tuple(fresh.items()))

    def without_param(self, name: str) -> Uri:
        """Give a URI without the parameter."""
        name = name.lower()
        return self.replace(params=tuple(pair for pair in self.params if pair[0].lower() != name))

    def equivalent(self, other: Uri) -> bool:
        """Compare by RFC 3261 §19.1.4 (SIP, SIPS) and RFC 3966 §4 (tel)."""
        if self.scheme != other.scheme or self.opaque != other.opaque:
            return False
        if self.scheme == "tel":
            return _digits(self) == _digits(other) and _folded(self.params) == _folded(other.params)
        same_user = _plain(self.user) == _plain(other.user) and _plain(self.password) == _plain(
            other.password
        )
        if not same_user or self.host.lower() != other.host.lower() or self.port != other.port:
            return False
        return _params_match(self.params, other.params) and _uri_headers(self) == _uri_headers(other)


def _parse_other(text: str) -> Uri:
    match = _OTHER.match(text)
    if match is None:
        raise ParseError("Bad URI")
    scheme, rest = match[1].lower(), match[2]
    if scheme in {"sip", "sips"}:
        raise ParseError("Bad SIP URI")
    if scheme != "tel":
        return Uri(scheme, opaque=rest, text=text)
    number = _TEL.match(rest)
    if number is None:
        raise ParseError("Bad tel URI")
    return Uri("tel", number[1], params=_uri_params(number[2]) if number[2] else (), text=text)


def _plain(text: str | None) -> str | None:
    return None if text is None else unescape(text)


def _digits(uri: Uri) -> str:
    return re.sub(r"[().-]", "", uri.user or "").lower()


def _folded(params: Params) -> dict[str, str | None]:
    return {
        unescape(name).lower(): None if content is None else unescape(content).lower()
        for name, content in params
    }


def _params_match(mine: Params, theirs: Params) -> bool:
    left, right = _folded(mine), _folded(theirs)
    for name in left.keys() | right.keys():
        if name in left and name in right:
            if left[name] != right[name]:
                return False
        elif name in _MUST_MATCH:
            return False
    return True


def _uri_headers(uri: Uri) -> list[tuple[str, str]]:
    pairs = (piece.partition("=") for piece in uri.headers.split("&") if piece)
    return sorted((unescape(name).lower(), unescape(content)) for name, _, content in pairs)


def quote(text: str) -> str:
    """Write text as a quoted-string (RFC 3261 §25.1), escaping what must be; a line break is refused."""
    if "\r" in text or "\n" in text:
        raise LocalError("line break in a quoted string")
    return '"' + _NEEDS_PAIR.sub(lambda match: "\\" + match[0], text) + '"'


def unquote(text: str) -> str:
    """Undo the quoted pairs of a quoted-string's inside."""
    return _QUOTED_PAIR.sub(r"\1", text) if "\\" in text else text


@value
class NameAddr:
    """A display name, a URI and parameters, as in From, To, Contact, Route and Refer-To.

    `display` is unquoted and empty when there is none. `text` is what was read, and empty for a value we
    built.
    """

    display: str
    uri: Uri
    params: Params = ()
    text: str = field(default="", compare=False, repr=False)

    @classmethod
    def parse(cls, text: str) -> NameAddr:
        """Read one name-addr or addr-spec with its parameters; raises ParseError (400).

        A display name without quotes may hold anything but `"` and `<`. In addr-spec form all parameters
        belong to the header, and `?` is refused (RFC 3261 §20.10).
        """
        return _remembered_name_addr(text) if len(text) <= _REMEMBER_LENGTH else cls._read(text)

    @classmethod
    def _read(cls, text: str) -> NameAddr:
        display = ""
        if text.startswith("<") and ">" in text:
            uri, _, params = text[1:].partition(">")
        else:
            match = _NAME_ADDR.match(text)
            if match is None:
                return _parse_addr_spec(text)
            quoted, bare, uri, params = match.groups()
            display = unquote(quoted) if quoted is not None else bare.strip(" \t")
        return cls(display, Uri.parse(uri.strip(" \t")), parse_params(params) if params else (), text)

    def __str__(self) -> str:
        if self.text:
            return self.text
        display = quote(self.display) + " " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"

    @property
    def tag(self) -> str | None:
        """The tag parameter; None when there is none or it is empty."""
        return self.param("tag") or None

    def param(self, name: str) -> str | None:
        """Give the value of a header parameter; None when it is absent or has no value (see `has_param`)."""
        for key, content in self.params:
            if key == name or key.lower() == name.lower():
                return content
        return None

    def has_param(self, name: str) -> bool:
        """Tell whether the header parameter is there, with or without a value."""
        return any(key.lower() == name.lower() for key, _ in self.params)

    def with_tag(self, tag: str) -> NameAddr:
        """Give the value with this tag; a text that had none keeps its other bytes."""
        kept = tuple(pair for pair in self.params if pair[0].lower() != "tag")
        text = f"{self.text};tag={tag}" if self.text and len(kept) == len(self.params) else ""
        return NameAddr(self.display, self.uri, (*kept, ("tag", tag)), text)

    def without_tag(self) -> NameAddr:
        """Give the value without its tag."""
        return NameAddr(
            self.display, self.uri, tuple(pair for pair in self.params if pair[0].lower() != "tag")
        )


def _parse_addr_spec(text: str) -> NameAddr:
    if "<" in text or '"' in text.partition(";")[0]:
        raise ParseError("Bad name-addr")
    address, semicolon, params = text.partition(";")
    if "?" in address:
        raise ParseError("URI with headers outside angle brackets")
    return NameAddr("", Uri.parse(address.strip(" \t")), parse_params(semicolon + params), text)


_remembered_uri = lru_cache(maxsize=_REMEMBERED)(Uri._read)
_remembered_name_addr = lru_cache(maxsize=_REMEMBERED)(NameAddr._read)
