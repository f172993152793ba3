"""Reads the settings: files and environment in, one frozen `Settings` or every problem at once out."""

import difflib
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from config.checks import check
from config.environment import overlay
from config.errors import ConfigError, Problem
from config.settings import Settings, resolve_defaults
from config.shape import KeyPath, Tree, prepare, shape_of
from config.toml_lines import find_lines, line_of

_TOML_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)\Z")


def load_settings(path: Path | str, env: Mapping[str, str]) -> Settings:
    """Read the file, lay `env` over it and check everything.

    Relative paths count from the file's folder. Raises ConfigError with every problem; reads no other
    environment.
    """
    file = Path(path)
    text = _read(file)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(file, str(error))]) from None
    return _Loading(file, text, tree).settings(env)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError([Problem(str(file), None, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigError([Problem(str(file), line, "", "is not UTF-8 text")]) from None


def _syntax_problem(file: Path, message: str) -> Problem:
    found = _TOML_PLACE.search(message)
    line = int(found[1]) if found else None
    return Problem(str(file), line, "", f"not valid TOML: {_TOML_PLACE.sub('', message)}")


class _Loading:
    """One reading of one file: keeps the problems and knows where each value came from."""

    def __init__(self, file: Path, text: str, tree: Tree) -> None:
        self.file = file
        self.tree = tree
        self.lines = find_lines(text)
        self.origins: dict[KeyPath, str] = {}
        self.problems: list[Problem] = []

    def settings(self, env: Mapping[str, str]) -> Settings:
        self.tree, self.origins = overlay(Settings, self.tree, env, self._report_variable)
        prepared = prepare(Settings, self.tree, self.file.absolute().parent, self.report)
        settings: Settings | None = None
        try:
            settings = Settings.model_validate(resolve_defaults(prepared))
        except ValidationError as error:
            details = error.errors(include_url=False, include_context=True)
            wrong = {tuple(detail["loc"]) for detail in details}
            for detail in details:
                if not _follows(detail, wrong):
                    self._report_invalid(detail)
        if settings is not None:
            check(settings, self.report)
        if settings is None or self.problems:
            order = sorted(set(self.problems), key=lambda problem: (problem.line or 0, problem.path))
            raise ConfigError(order)
        return settings

    def report(self, path: KeyPath, message: str) -> None:
        """Note a problem of the value at that path."""
        where, line = str(self.file), line_of(self.lines, path)
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                where, line = self.origins[path[:length]], None
                break
        self.problems.append(Problem(where, line, describe(path, self.tree), message))

    def _report_variable(self, variable: str, message: str) -> None:
        self.problems.append(Problem(variable, None, "", message))

    def _report_invalid(self, detail: Mapping[str, Any]) -> None:
        path = tuple(part for part in detail["loc"] if part != "[key]")
        message = _in_words(detail, path)
        self.report(path, message)


def describe(path: KeyPath, tree: Tree) -> str:
    """Write a path for people: `trunks "teams": certificate`; items without a name by their place, from 1."""
    words: list[str] = []
    value: Any = tree
    for part in path:
        if isinstance(part, int):
            value = value[part] if isinstance(value, list) and part < len(value) else None
            name = value.get("name") if isinstance(value, dict) else None
            words[-1] += f' "{name}"' if isinstance(name, str) else f" (item {part + 1})"
        else:
            value = value.get(part) if isinstance(value, dict) else None
            words.append(part)
    return ": ".join(words)


def _follows(detail: Mapping[str, Any], wrong: set[tuple[int | str, ...]]) -> bool:
    """Tell whether a problem is only the consequence of another, which is reported itself."""
    path = tuple(detail["loc"])
    if detail["type"] == "too_short":  # items that are wrong do not count as items
        return any(other != path and other[: len(path)] == path for other in wrong)
    if detail["type"] != "missing" or path[0] != "trunks" or len(path) != 3:
        return False
    causes = [(*path[:2], "kind"), (*path[:2], "transport"), *_DECIDED_BY.get(str(path[2]), ())]
    return any(other[: len(cause)] == cause for cause in causes for other in wrong if other != path)


_DECIDED_BY: dict[str, tuple[KeyPath, ...]] = {
    "fqdn": (("node", "fqdn"), ("node",)),
    "tenant": (("tenants",),),
    "listener": (("listeners",),),
    "accept_on": (("listeners",),),
    "transport": (("listeners",),),
}
_CANNOT_CHOOSE = {
    "tenant": "is missing, and there is not just one to choose",
    "listener": "is missing, and there is not just one of the trunk's transport to choose",
    "transport": "is missing, and neither a target nor the listeners decide it",
}


def _in_words(detail: Mapping[str, Any], path: KeyPath) -> str:
    kind, message = str(detail["type"]), str(detail["msg"])
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return _CANNOT_CHOOSE.get(str(path[-1]), "is missing") if path[0] == "trunks" else "is missing"
    if kind == "literal_error":
        return f"must be {detail.get('ctx', {}).get('expected', message)}"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        return "must be a table"
    if kind == "too_short":
        return "at least one is needed"
    message = message.removeprefix("Input should be ").replace("a valid string", "a text")
    return (
        f"must be {message}" if not message.startswith("String should") else message.replace("String", "it")
    )


def _unknown_key(path: KeyPath) -> str:
    known: list[str] = []
    section = _section_at(path[:-1])
    if section is not None:
        known = list(section.model_fields)
    near = difflib.get_close_matches(str(path[-1]), known, 1)
    return f"unknown key; did you mean {near[0]}?" if near else "unknown key"


def _section_at(path: KeyPath) -> type[BaseModel] | None:
    section: type[BaseModel] | None = Settings
    skip = False
    for part in path:
        if skip:
            skip = False
            continue
        field = section.model_fields.get(str(part)) if section is not None else None
        if field is None:
            return None
        shape = shape_of(field.annotation)
        section, skip = shape.section, shape.form in {"list", "table"}
    return section
