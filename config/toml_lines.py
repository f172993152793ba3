"""Where in a TOML text each key stands; the standard library's reader does not say.

Not a TOML reader: `tomllib` has accepted the text before, so this only follows table headers and the keys at
the beginning of statements, skipping strings, comments and everything inside brackets (TOML 1.0).
"""

import re

Path = tuple[str | int, ...]
"""A way to a value: keys, and positions in arrays of tables counted from 0."""

_KEY = r"""(?:"(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_DOTTED = rf"{_KEY}(?:[ \t]*\.[ \t]*{_KEY})*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]")
_ASSIGNMENT = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_PART = re.compile(_KEY)
# What matters inside a value: strings (whole), comments, brackets and the end of a line.
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*|[\[\]{}\n]",
    re.DOTALL,
)


def find_lines(text: str) -> dict[Path, int]:
    """Map tables and keys that begin a statement of a valid TOML text to their lines, from 1."""
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    table: Path = ()
    position, line = 0, 1
    while position < len(text):
        if header := _HEADER.match(text, position):
            table = _enter(_parts(header[2]), counts, new_item=header[1] == "[[")
            lines.setdefault(table, line)
            lines.setdefault(
                tuple(_parts(header[2])), line
            )  # an array as a whole stands where its first item does
            end = header.end()
        elif assignment := _ASSIGNMENT.match(text, position):
            path = table + _parts(assignment[1])
            for depth in range(len(table) + 1, len(path) + 1):
                lines.setdefault(path[:depth], line)
            end = assignment.end()
        else:
            end = position
        end = _end_of_statement(text, end)
        line += text.count("\n", position, end)
        position = end
    return lines


def line_of(lines: dict[Path, int], path: Path) -> int | None:
    """Give the line of the value, or of the nearest thing around it that has one."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


def _parts(dotted: str) -> tuple[str, ...]:
    return tuple(part[1:-1] if part[0] in "\"'" else part for part in _PART.findall(dotted))


def _enter(names: tuple[str, ...], counts: dict[Path, int], *, new_item: bool) -> Path:
    """Give the full path of a header: `[a.b]` means the last item of `a` when that is an array of tables."""
    path: Path = ()
    for depth, name in enumerate(names, 1):
        path += (name,)
        if depth == len(names) and new_item:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path += (counts[path],)
    return path


def _end_of_statement(text: str, position: int) -> int:
    """Give the position behind the line end that ends the statement: not one inside a string or a bracket."""
    depth = 0
    for token in _TOKEN.finditer(text, position):
        mark = token[0]
        if mark in ("[", "{"):
            depth += 1
        elif mark in ("]", "}"):
            depth -= 1
        elif mark == "\n" and depth <= 0:
            return token.end()
    return len(text)
