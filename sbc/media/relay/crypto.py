"""SDES keys in SDP: reading `a=crypto` lines and choosing among them (RFC 4568).

Pure. Tolerated from peers: tag 0, a lifetime as 2^n or as a number, an MKI, several keys in a line (the first is
taken), several lines, missing base64 padding. A line with session parameters that change the packets is passed over.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable
from dataclasses import dataclass

AES_80 = "AES_CM_128_HMAC_SHA1_80"
AES_32 = "AES_CM_128_HMAC_SHA1_32"
KEY_OCTETS = 30  # 16 of key, 14 of salt

_LINE = re.compile(
    r"(\d{1,9})\s+(\S+)\s+inline:([A-Za-z0-9+/=]+)((?:\|[^\s;|]*)*)(?:;\S*)?((?:\s+\S+)*)\s*\Z", re.IGNORECASE
)
_MKI_MAX_OCTETS = 128


@dataclass(frozen=True, slots=True)
class CryptoLine:
    """One usable line."""

    tag: int
    suite: str
    key: bytes
    """Master key and salt."""
    mki: bytes = b""
    """The master key identifier that the sender puts into its packets; empty for none."""

    def __str__(self) -> str:
        return f"{self.tag} {self.suite} inline:{base64.b64encode(self.key).decode()}"


def parse_crypto(value: str) -> CryptoLine | None:
    """Read what follows `a=crypto:`; None for a line that cannot be used."""
    match = _LINE.match(value.strip())
    if match is None:
        return None
    tag, suite, inline, options, parameters = match.groups()
    suite = suite.upper()
    if suite not in (AES_80, AES_32) or any(not _harmless(p) for p in parameters.upper().split()):
        return None
    try:
        key = base64.b64decode(inline.rstrip("=") + "=" * (-len(inline.rstrip("=")) % 4), validate=True)
        mki = _mki(options)
    except (binascii.Error, ValueError):
        return None
    return CryptoLine(int(tag), suite, key, mki) if len(key) == KEY_OCTETS else None


def _harmless(parameter: str) -> bool:
    return parameter.startswith("WSH=") or parameter == "KDR=0"


def _mki(options: str) -> bytes:
    for option in options.split("|"):
        value, colon, length = option.partition(":")
        if colon:
            octets = int(length)
            if not 0 < octets <= _MKI_MAX_OCTETS:
                raise ValueError("MKI length")
            try:
                return int(value).to_bytes(octets, "big")
            except OverflowError as error:
                raise ValueError("MKI") from error
    return b""


def choose_offered(values: Iterable[str], suite: str = AES_80) -> CryptoLine | None:
    """Choose of a peer's offer: that suite before the other, without MKI before with, in the peer's order."""
    lines = [line for line in map(parse_crypto, values) if line is not None]
    return min(lines, key=lambda line: (line.suite != suite, bool(line.mki)), default=None)


def choose_answered(values: Iterable[str], tag: int, suite: str) -> CryptoLine | None:
    """Choose of a peer's answer to our one line: that suite and tag, else that suite, else what there is."""
    lines = [line for line in map(parse_crypto, values) if line is not None]
    return min(lines, key=lambda line: (line.suite != suite, line.tag != tag), default=None)
