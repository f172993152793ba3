"""People out of a file: CSV with a header row, or TOML with one ``[[people]]`` table each.

Fields, by these names in both: ``email`` (compulsory), ``display_name``, ``id``, ``business_phone``, ``extension``, ``upn``,
``aliases`` (in CSV separated by blanks or semicolons), ``mobile``, ``title``, ``department``. Other columns are passed over. A row
that cannot be used is left out and reported with its line; a file that cannot be read at all is a `DirectoryError`.
"""

from __future__ import annotations

import csv
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from directory.errors import DirectoryError
from directory.model import Finding, Person

_EMAIL = re.compile(r"[^@\s<>\"',;]+@[^@\s<>\"',;]+\Z")
_FIELDS_MAX_BYTES = 64 << 20

Row = tuple[int, Mapping[str, Any]]


def read_people(path: Path) -> tuple[list[Person], list[Finding]]:
    """Read a file; returns the people in its order and what is wrong with it. Raises DirectoryError."""
    try:
        if path.stat().st_size > _FIELDS_MAX_BYTES:
            raise DirectoryError(f"{path}: the file is larger than {_FIELDS_MAX_BYTES >> 20} MiB")
        data = path.read_bytes()
    except OSError as error:
        raise DirectoryError(f"{path}: {error.strerror or error}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DirectoryError(f"{path}: line {line} is not UTF-8") from None
    rows = _toml_rows(path, text) if path.suffix.lower() == ".toml" else _csv_rows(path, text)
    return _merge(rows)


def _csv_rows(path: Path, text: str) -> Iterator[Row]:
    lines = text.splitlines()
    if not lines:
        raise DirectoryError(f"{path}: the file is empty; a header row with at least 'email' is needed")
    delimiter = ";" if lines[0].count(";") > lines[0].count(",") else ","
    reader = csv.DictReader(lines, delimiter=delimiter, strict=False)
    names = [(name or "").strip().lower() for name in reader.fieldnames or ()]
    if "email" not in names:
        raise DirectoryError(
            f"{path}: line 1: no column 'email' (columns found: {', '.join(names)[:200] or 'none'})"
        )
    reader.fieldnames = names
    try:
        for row in reader:
            yield reader.line_num, row
    except csv.Error as error:
        raise DirectoryError(f"{path}: line {reader.line_num}: {error}") from None


def _toml_rows(path: Path, text: str) -> Iterator[Row]:
    try:
        people = tomllib.loads(text).get("people")
    except tomllib.TOMLDecodeError as error:
        raise DirectoryError(f"{path}: {error}") from None
    if not isinstance(people, list):
        raise DirectoryError(f"{path}: no [[people]] tables")
    starts = [
        number for number, line in enumerate(text.splitlines(), 1) if line.strip().startswith("[[people]]")
    ]
    for position, row in enumerate(people):
        line = starts[position] if position < len(starts) else 0
        yield line, row if isinstance(row, dict) else {}


def _merge(rows: Iterable[Row]) -> tuple[list[Person], list[Finding]]:
    people: dict[str, Person] = {}
    lines: dict[str, int] = {}
    findings: list[Finding] = []
    for line, row in rows:
        email = _text(row, "email")
        if not email and not any(isinstance(value, str) and value.strip() for value in row.values()):
            continue
        if not _EMAIL.match(email):
            findings.append(Finding(line, f"no valid e-mail address ({email[:80] or 'empty'}): left out"))
            continue
        key = email.casefold()
        if key in people:
            findings.append(Finding(line, f"{email} is already in line {lines[key]}: left out"))
            continue
        people[key], lines[key] = _person(email, row), line
    return list(people.values()), findings


def _person(email: str, row: Mapping[str, Any]) -> Person:
    aliases = row.get("aliases")
    words = (
        aliases
        if isinstance(aliases, list)
        else re.split(r"[\s;]+", aliases)
        if isinstance(aliases, str)
        else []
    )
    return Person(
        person_id=_text(row, "id") or email.casefold(),
        name=_text(row, "display_name") or email,
        email=email,
        business_phone=_text(row, "business_phone"),
        extension=_text(row, "extension"),
        upn=_text(row, "upn"),
        aliases=tuple(str(word) for word in words if word),
        mobile=_text(row, "mobile"),
        title=_text(row, "title"),
        department=_text(row, "department"),
    )


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row.get(name)
    return "" if value is None else str(value).strip()[:500]
