"""The number plan: what is an E.164 number, and how a national one becomes it.

The fast path is a regular expression; only national forms cost a look into phonenumbers' metadata, and that is remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

_E164 = re.compile(r"\+[1-9]\d{1,14}\Z", re.ASCII)
_SEPARATORS = re.compile(r"[\s().\-/]+")
_DIGITS = re.compile(r"\+?\d{2,20}\Z", re.ASCII)


def is_e164(number: str) -> bool:
    """Tell whether this is an E.164 number as the hub wants it: ``+``, no zero first, at most 15 digits."""
    return _E164.match(number) is not None


def to_e164(number: str, region: str) -> str | None:
    """Return the E.164 form of a number written in any usual way; ``None`` when it is no number of the plan.

    ``region`` is the country (ISO 3166) that a number without ``+`` is read in. Visual separators (RFC 3966 §5.1.1) are
    dropped; a number with ``+`` is taken as it is, because the far side knows its own plan best.
    """
    if _E164.match(number):
        return number
    plain = _SEPARATORS.sub("", number)
    if _E164.match(plain):
        return plain
    return _national(plain, region) if _DIGITS.match(plain) else None


@lru_cache(maxsize=65_536)
def _national(number: str, region: str) -> str | None:
    try:
        parsed = phonenumbers.parse(number, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_possible_number(parsed) or not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


def matches(number: str, patterns: tuple[str, ...]) -> bool:
    """Tell whether a number begins with one of the prefixes."""
    return number.startswith(patterns) if patterns else False
