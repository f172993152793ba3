"""SDES keys in SDP: the ``a=crypto`` attribute (RFC 4568).

Tolerant as Teams needs it: tag 0, several lines, lifetimes as ``2^31`` or a decimal, an MKI, session parameters. What is not
understood is kept as it was written.
"""

from __future__ import annotations

import base64
import binascii
import re

from sbc.sip.errors import ParseError
from sbc.sip.value import value

AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"

KEY_AND_SALT_BYTES = 30
"""Master key (16) and master salt (14) of the AES-CM-128 suites (RFC 4568 §6.2)."""

_CRYPTO = re.compile(r"(\d{1,9})[ \t]+([A-Za-z0-9_\-]+)[ \t]+(inline:[^\s]+)((?:[ \t]+[^\s]+)*)[ \t]*\Z")


@value
class Crypto:
    """One ``a=crypto`` value. Of several keys in it the first is read; the others stay in ``text``."""

    tag: int
    suite: str
    key_salt: bytes
    """Master key and salt."""
    lifetime: int | None = None
    """Packets the key may protect; ``None`` when not said."""
    mki: tuple[int, int] | None = None
    """Value and length in bytes of the master key identifier."""
    session_params: tuple[str, ...] = ()
    text: str = ""
    """What was read, and empty for a value we built."""

    @classmethod
    def parse(cls, text: str) -> Crypto:
        """Read the value behind ``a=crypto:``; raises ParseError (488)."""
        match = _CRYPTO.match(text.strip())
        if match is None:
            raise ParseError("Bad a=crypto line", status=488)
        key_text, *extras = match[3].split(";", 1)[0].removeprefix("inline:").split("|")
        lifetime: int | None = None
        mki: tuple[int, int] | None = None
        for extra in extras:
            if ":" in extra:
                mki = _mki(extra)
            else:
                lifetime = _lifetime(extra)
        return cls(int(match[1]), match[2], _key(key_text), lifetime, mki, tuple(match[4].split()), text)

    def __str__(self) -> str:
        if self.text:
            return self.text
        inline = base64.b64encode(self.key_salt).decode()
        if self.lifetime is not None:
            exponent = self.lifetime.bit_length() - 1
            power = self.lifetime == 1 << exponent
            inline += f"|2^{exponent}" if power else f"|{self.lifetime}"
        if self.mki is not None:
            inline += f"|{self.mki[0]}:{self.mki[1]}"
        return " ".join([str(self.tag), self.suite, f"inline:{inline}", *self.session_params])


def _key(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ParseError("Bad key in a=crypto line", status=488) from None


def _lifetime(text: str) -> int:
    base, caret, exponent = text.partition("^")
    if caret and base == "2" and exponent.isascii() and exponent.isdecimal() and len(exponent) <= 2:
        return 1 << min(int(exponent), 63)
    if text.isascii() and text.isdecimal() and len(text) <= 20:
        return int(text)
    raise ParseError("Bad lifetime in a=crypto line", status=488)


def _mki(text: str) -> tuple[int, int]:
    number, _, length = text.partition(":")
    digits = number.isascii() and number.isdecimal() and length.isascii() and length.isdecimal()
    if not digits or len(number) > 40 or len(length) > 3 or not 1 <= int(length) <= 128:
        raise ParseError("Bad MKI in a=crypto line", status=488)
    return int(number), int(length)
