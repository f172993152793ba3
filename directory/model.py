"""A person, what routing gets to see of one, and what is wrong with a source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who can be called. One person per e-mail address, in any case of letters."""

    person_id: str
    name: str
    """Display name."""
    email: str
    business_phone: str = ""
    """As the source has it."""
    extension: str = ""
    upn: str = ""
    aliases: tuple[str, ...] = ()
    """Other addresses that find this person."""
    mobile: str = ""
    title: str = ""
    department: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """What a look-up returns."""

    person_id: str
    name: str
    number: str | None
    """The business phone: clean E.164 where it is one after dropping visual separators, else as given; ``None`` without."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with one row of a source."""

    line: int
    """Line of the file, the first being 1; 0 when it is about the whole."""
    message: str
    left_out: bool = True
    """Whether the row (or, for a shared number or extension, that one field) is not used."""

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message
