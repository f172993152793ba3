"""Bencode, the encoding of the NG protocol.

Pure. Dictionaries keep the order they are given in: rtpengine writes its own unsorted and so do we. Decoding is
bounded: nesting by `_DEPTH`, sizes by the datagram itself, integers by 64 bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

from sbc.media.errors import MediaProtocolError

Value: TypeAlias = "bytes | int | list[Value] | dict[str, Value]"

_DEPTH = 32
_INT_DIGITS = 20
_LENGTH_DIGITS = 7


class Encoded(bytes):
    """Bytes that are bencode already: constant parts of many commands are encoded once."""

    __slots__ = ()


def encode(value: object) -> bytes:
    """Encode a str, bytes, int, bool, list, tuple or dict with str keys; TypeError for anything else."""
    out: list[bytes] = []
    _encode(value, out)
    return b"".join(out)


def _encode(value: object, out: list[bytes]) -> None:
    if type(value) is Encoded:
        out.append(value)
        return
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    if isinstance(value, (bytes, bytearray)):
        out.append(b"%d:" % len(value))
        out.append(bytes(value))
    elif isinstance(value, int):
        out.append(b"i%de" % value)
    elif isinstance(value, (list, tuple)):
        out.append(b"l")
        for item in value:
            _encode(item, out)
        out.append(b"e")
    elif isinstance(value, Mapping):
        out.append(b"d")
        for key, item in value.items():
            _encode(str(key), out)
            _encode(item, out)
        out.append(b"e")
    else:
        raise TypeError(f"bencode cannot carry {type(value).__name__}")


def decode(data: bytes) -> Value:
    """Decode one value that is the whole of `data`; MediaProtocolError when it is anything else."""
    value, end = _decode(data, 0, 0)
    if end != len(data):
        raise MediaProtocolError("bencode: something follows the value")
    return value


def decode_dict(data: bytes) -> dict[str, Value]:
    """Decode a dictionary; MediaProtocolError when it is anything else."""
    value = decode(data)
    if not isinstance(value, dict):
        raise MediaProtocolError("bencode: not a dictionary")
    return value


def _decode(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    lead = data[at : at + 1]
    if lead.isdigit():
        return _decode_bytes(data, at)
    if lead == b"i":
        end = data.find(b"e", at, at + _INT_DIGITS + 3)
        digits = data[at + 1 : end] if end > 0 else b""
        if not digits.removeprefix(b"-").isdigit():
            raise MediaProtocolError("bencode: bad integer")
        return int(digits), end + 1
    if depth >= _DEPTH:
        raise MediaProtocolError("bencode: nested too deeply")
    if lead == b"l":
        items: list[Value] = []
        at += 1
        while data[at : at + 1] != b"e":
            item, at = _decode(data, at, depth + 1)
            items.append(item)
        return items, at + 1
    if lead == b"d":
        return _decode_dict(data, at + 1, depth + 1)
    raise MediaProtocolError("bencode: truncated" if not lead else "bencode: unknown type")


def _decode_dict(data: bytes, at: int, depth: int) -> tuple[Value, int]:
    result: dict[str, Value] = {}
    while data[at : at + 1] != b"e":
        key, at = _decode_bytes(data, at)
        result[key.decode("utf-8", "surrogateescape")], at = _decode(data, at, depth)
    return result, at + 1


def _decode_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    colon = data.find(b":", at, at + _LENGTH_DIGITS + 1)
    digits = data[at:colon] if colon > at else b""
    if not digits.isdigit():
        raise MediaProtocolError("bencode: bad string length")
    end = colon + 1 + int(digits)
    if end > len(data):
        raise MediaProtocolError("bencode: truncated")
    return data[colon + 1 : end], end
