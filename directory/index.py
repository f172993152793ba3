"""The index: every way to a person, as dictionaries that are built once and never changed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from directory.model import Entry, Finding, Person

_SEPARATORS = re.compile(r"[\s().\-/]+")
_E164 = re.compile(r"\+[1-9]\d{1,14}\Z", re.ASCII)


def clean_number(text: str) -> str | None:
    """Return a number as it is to be dialled: E.164 without separators where it is that, else as given."""
    if not text:
        return None
    base, marker, extension = text.partition(";ext=")
    plain = _SEPARATORS.sub("", base)
    if _E164.match(plain):
        return f"{plain};ext={extension}" if marker else plain
    return text


class Index:
    """People by number, address, extension and id."""

    __slots__ = ("_addresses", "_extensions", "_ids", "_numbers", "findings", "people")

    def __init__(self, people: Iterable[Person]) -> None:
        self.people = tuple(people)
        self.findings: list[Finding] = []
        """Numbers and extensions that several people have: calls to them reach the first."""
        self._numbers: dict[str, Entry] = {}
        self._addresses: dict[str, Entry] = {}
        self._extensions: dict[str, Entry] = {}
        self._ids: dict[str, Entry] = {}
        for person in self.people:
            self._add(person)

    def _add(self, person: Person) -> None:
        entry = Entry(person.person_id, person.name, clean_number(person.business_phone))
        if self._ids.setdefault(person.person_id, entry) is not entry:
            self._note(person, "id", person.person_id, self._ids[person.person_id])
        for address in (person.email, person.upn, *person.aliases):
            if address:
                self._addresses.setdefault(address.casefold(), entry)
        if entry.number is not None:
            number = entry.number.partition(";")[0]
            first = self._numbers.setdefault(number, entry)
            if first is not entry and ";ext=" not in entry.number:
                self._note(person, "number", number, first)
        if person.extension and self._extensions.setdefault(person.extension, entry) is not entry:
            self._note(person, "extension", person.extension, self._extensions[person.extension])

    def _note(self, person: Person, what: str, value: str, first: Entry) -> None:
        message = (
            f"{what} {value} of {person.email} is already {first.name}'s: calls to it reach {first.name}"
        )
        self.findings.append(Finding(0, message))

    def by_number(self, number: str) -> Entry | None:
        """Find by E.164 number."""
        return self._numbers.get(number)

    def by_address(self, address: str) -> Entry | None:
        """Find by e-mail address, alias or UPN, in any case."""
        return self._addresses.get(address.casefold())

    def by_extension(self, extension: str) -> Entry | None:
        """Find by extension."""
        return self._extensions.get(extension)

    def by_id(self, person_id: str) -> Entry | None:
        """Find by id."""
        return self._ids.get(person_id)

    def __len__(self) -> int:
        return len(self.people)
