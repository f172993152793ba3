"""Header parameters: `;name=value;flag;other="quoted; text"`.

RFC 3261 §25.1 (generic-param) and §7.3.1. Values stay as written, quotes included. Parameters inside a URI
are not read here: they follow other rules (`sbc.sip.uri`).
"""

from __future__ import annotations

import re
from typing import TypeAlias

from sbc.sip.errors import ParseError

Params: TypeAlias = tuple[tuple[str, str | None], ...]

_PIECE = re.compile(r'(?:[^;"]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_NAME = re.compile(r'[^\s;=,<>"]++\Z', re.ASCII)
_CONTENT = re.compile(r'(?:[^\s;,<>"]*+|"[^"\\]*+(?:\\.[^"\\]*+)*+")\Z', re.DOTALL | re.ASCII)
_SIMPLE = re.compile(r';([^\s;=,<>"]++)=([^\s;,<>"]++)\Z', re.ASCII)


def split_unquoted(text: str) -> list[str]:
    """Split at semicolons that are not inside a quoted string; raises ParseError on an unbalanced quote."""
    if '"' not in text:
        return text.split(";")
    pieces: list[str] = []
    position = 0
    while True:
        match = _PIECE.match(text, position)
        assert match is not None  # the pattern matches the empty string
        pieces.append(match[0])
        position = match.end()
        if position == len(text):
            return pieces
        if text[position] != ";":
            raise ParseError("Unbalanced quote in parameters")
        position += 1


def parse_params(text: str) -> Params:
    """Read what follows a header's value, from the first semicolon; one trailing semicolon is let pass."""
    match = _SIMPLE.match(text)
    if match is not None:
        return ((match[1], match[2]),)
    pieces = split_unquoted(text)
    if pieces[0].strip(" \t"):
        raise ParseError("Text between value and parameters")
    if len(pieces) > 2 and not pieces[-1].strip(" \t"):
        del pieces[-1]
    pairs: list[tuple[str, str | None]] = []
    for piece in pieces[1:]:
        name, equals, content = piece.partition("=")
        name, content = name.strip(" \t"), content.strip(" \t")
        if not _NAME.match(name) or not _CONTENT.match(content):
            raise ParseError("Bad header parameter")
        pairs.append((name, content if equals else None))
    return tuple(pairs)


def format_params(params: Params) -> str:
    """Write parameters with their leading semicolons."""
    return "".join(f";{name}" if content is None else f";{name}={content}" for name, content in params)
