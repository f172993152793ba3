"""The people of the simulated tenant contoso.example, and what happens when they are called.

One table makes both sides: the directory file that the service reads, and what the hub knows of numbers.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Behaviour = Literal["answers", "busy", "declines", "rings", "early_media", "slow", "hangs_up", "forks"]


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in Teams."""

    person_id: str
    name: str
    email: str
    phone: str
    """Business phone as the directory has it."""
    extension: str
    behaviour: Behaviour
    title: str
    note: str
    """What a caller gets to hear, in words."""


PEOPLE = (
    Person(
        "p-ada",
        "Ada Example",
        "ada@contoso.example",
        "+14255550101",
        "2101",
        "answers",
        "Engineer",
        "answers",
    ),
    Person(
        "p-ben", "Ben Busy", "ben@contoso.example", "+14255550102", "2102", "busy", "Analyst", "is busy (486)"
    ),
    Person(
        "p-cleo",
        "Cleo Decline",
        "cleo@contoso.example",
        "+14255550103",
        "2103",
        "declines",
        "Lawyer",
        "declines (603)",
    ),
    Person(
        "p-dan",
        "Dan Ring",
        "dan@contoso.example",
        "+14255550104",
        "2104",
        "rings",
        "Night owl",
        "never answers",
    ),
    Person(
        "p-eva",
        "Eva Early",
        "eva@contoso.example",
        "+14255550105",
        "2105",
        "early_media",
        "Agent",
        "early media",
    ),
    Person(
        "p-finn",
        "Finn Slow",
        "finn@contoso.example",
        "+14255550106",
        "2106",
        "slow",
        "Manager",
        "answers after 4 s",
    ),
    Person(
        "p-gus",
        "Gus Short",
        "gus@contoso.example",
        "+14255550107",
        "2107",
        "hangs_up",
        "Driver",
        "hangs up after 2 s",
    ),
    Person(
        "p-hana",
        "Hana Forks",
        "hana@contoso.example",
        "+14255550108",
        "2108",
        "forks",
        "Architect",
        "has three devices",
    ),
    Person(
        "p-nora",
        "Nora Nophone",
        "nora@contoso.example",
        "",
        "2109",
        "answers",
        "Designer",
        "has no business phone (480)",
    ),
    Person(
        "p-otto",
        "Otto Odd",
        "otto@contoso.example",
        "555-01",
        "2110",
        "answers",
        "Intern",
        "has no E.164 number (484)",
    ),
)
"""Numbers are from the range reserved for fiction."""

AGENT_NUMBER = "+14255550190"
"""A number of the contact centre, which Teams users call."""


def write_directory(path: Path) -> None:
    """Write the directory file for the service."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "display_name", "email", "business_phone", "extension", "title"])
        for person in PEOPLE:
            writer.writerow(
                [person.person_id, person.name, person.email, person.phone, person.extension, person.title]
            )


def by_number(number: str) -> Person | None:
    """Find who is assigned a number in Teams."""
    return next((person for person in PEOPLE if person.phone == number), None)
