"""What a caller can dial, read out of a Request-URI; and who answers for people.

Targets are an E.164 number, a national number, a ``tel:`` URI, an e-mail address or UPN (as user part with ``%40`` or as
user and host), and an extension. Which of them it is, is decided by its form and then by who is in the directory.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from sbc.routing.numbers import to_e164
from sbc.sip.uri import Uri, unescape


class Found(Protocol):
    """A person as far as routing needs to know."""

    @property
    def person_id(self) -> str:
        """The directory's id of the person."""

    @property
    def name(self) -> str:
        """Display name."""

    @property
    def number(self) -> str | None:
        """The business phone as the directory has it: maybe missing, maybe not E.164."""


class TargetResolver(Protocol):
    """Finds people. Immediate: reads memory only."""

    def by_number(self, tenant: str, number: str) -> Found | None:
        """Find the person whose business phone is this E.164 number."""

    def by_address(self, tenant: str, address: str) -> Found | None:
        """Find the person with this e-mail address, alias or UPN, in any case."""

    def by_extension(self, tenant: str, extension: str) -> Found | None:
        """Find the person with this extension."""

    def by_id(self, tenant: str, person_id: str) -> Found | None:
        """Find the person with this id."""


Kind = Literal["number", "address", "extension", "other"]


@dataclass(frozen=True, slots=True)
class Dialled:
    """What was dialled, by its form."""

    text: str
    """As dialled, unescaped."""
    number: str | None
    """Its E.164 form, where it is a number of the tenant's region."""
    address: str | None
    """The e-mail address it may be."""
    parameters: str = ""
    """Parameters of the user part to keep: ``;ext=1001`` (users who share a number), ``;opaque=app:voicemail``."""

    @property
    def is_short(self) -> bool:
        """True for a few digits: an extension, or a number that makes no sense outside."""
        return self.text.isascii() and self.text.isdecimal() and len(self.text) <= 8


def dialled(uri: Uri, region: str) -> Dialled:
    """Read what was dialled out of a Request-URI."""
    user, _, tail = (uri.user or "").partition(";")
    text = unescape(user)
    kept = [part for part in tail.split(";") if part.lower().startswith(("ext=", "opaque="))]
    if uri.scheme == "tel":
        kept += [f"ext={value}" for name, value in uri.params if name.lower() == "ext" and value]
    else:
        kept += [f"opaque={value}" for name, value in uri.params if name.lower() == "opaque" and value]
    parameters = "".join(f";{part}" for part in kept)
    number = to_e164(text, region)
    address = None
    if number is None and text:
        address = text if "@" in text else f"{text}@{uri.host}" if uri.host else None
    return Dialled(text, number, address, parameters)
