"""Multipart bodies: the parts of one level, and which of them is the session description.

RFC 2046 §5.1, RFC 5621 (bodies in SIP). Nested multiparts are looked into for a part, up to a small depth.
"""

from __future__ import annotations

import re

from sbc.sip.errors import LocalError, ParseError
from sbc.sip.headers import Headers
from sbc.sip.params import parse_params
from sbc.sip.uri import unquote
from sbc.sip.value import value

_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{1,70}\Z")
_PARTS_MAX = 32
_DEPTH_MAX = 3


@value
class Part:
    """One body part: its header fields in order, and its bytes."""

    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def content_type(self) -> str:
        """The media type, lower case and without parameters; `text/plain` when not said (RFC 2045 §5.2)."""
        return self.header("content-type", "text/plain").partition(";")[0].strip(" \t").lower()

    def header(self, name: str, default: str = "") -> str:
        """Give a header field's value."""
        return next((text for key, text in self.headers if key.lower() == name.lower()), default)


def boundary_of(content_type: str) -> str:
    """Give the boundary parameter of a multipart Content-Type; raises ParseError (400)."""
    _, semicolon, rest = content_type.partition(";")
    for name, content in parse_params(semicolon + rest) if semicolon else ():
        if name.lower() == "boundary" and content:
            text = unquote(content[1:-1]) if content[0] == '"' else content
            if _BOUNDARY.match(text) and text[-1] != " ":
                return text
    raise ParseError("Multipart body without boundary")


def parse_multipart(body: bytes, boundary: str) -> list[Part]:
    """Cut a multipart body into its parts; raises ParseError (400). Preamble and epilogue are dropped."""
    mark = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*+(?:\r?\n|\Z)")
    parts: list[Part] = []
    position = 0
    start: int | None = None
    while (match := mark.search(body, position)) is not None:
        if start is not None:
            parts.append(_part(body[start : max(start, match.start())]))
            if len(parts) > _PARTS_MAX:
                raise ParseError("Too many body parts")
        if match[1]:
            return parts
        start = match.end()
        # The line end that closes this delimiter may open the next one when a part is empty.
        position = max(match.end() - 2, match.start() + 1)
    raise ParseError(
        "Multipart body has no end" if parts or start is not None else "Multipart body has no parts"
    )


def _part(data: bytes) -> Part:
    if not data:
        return Part((), b"")
    if data[:2] == b"\r\n" or data[:1] == b"\n":
        return Part((), data[2:] if data[:1] == b"\r" else data[1:])
    match = re.search(rb"\r?\n\r?\n", data)
    head, body = (data[: match.start()], data[match.end() :]) if match else (data, b"")
    text = re.sub(r"\r?\n[ \t]+", " ", head.decode("utf-8", "surrogateescape"))
    pairs: list[tuple[str, str]] = []
    for line in re.split(r"\r?\n", text):
        name, colon, content = line.partition(":")
        if not colon or not name.strip(" \t"):
            raise ParseError("Bad header in body part")
        pairs.append((name.strip(" \t"), content.strip(" \t")))
    return Part(tuple(pairs), body)


def find_part(content_type: str | None, body: bytes, wanted: str = "application/sdp") -> Part | None:
    """Give the body, or the first part of it at any depth, whose type is `wanted`; None when there is none.

    `content_type` is the message's whole Content-Type value. Raises ParseError (400) for a broken multipart
    body.
    """
    return _find(content_type or "", body, wanted, _DEPTH_MAX)


def _find(content_type: str, body: bytes, wanted: str, depth: int) -> Part | None:
    kind = content_type.partition(";")[0].strip(" \t").lower()
    if kind == wanted:
        return Part((("Content-Type", content_type),), body)
    if not kind.startswith("multipart/") or depth == 0:
        return None
    for part in parse_multipart(body, boundary_of(content_type)):
        if part.content_type == wanted:
            return part
        found = _find(part.header("content-type"), part.body, wanted, depth - 1)
        if found is not None:
            return found
    return None


def encode_multipart(parts: list[Part], boundary: str) -> bytes:
    """Write parts as a multipart body; raises LocalError when the boundary occurs in one."""
    mark = b"--" + boundary.encode()
    pieces: list[bytes] = []
    for part in parts:
        if mark in part.body:
            raise LocalError("boundary occurs in a part")
        lines = "".join(f"{line}\r\n" for line in Headers(part.headers).wire_lines())
        pieces.append(
            mark + b"\r\n" + lines.encode("utf-8", "surrogateescape") + b"\r\n" + part.body + b"\r\n"
        )
    return b"".join(pieces) + mark + b"--\r\n"
