"""Names files over 400 lines and functions over 50: past that, a concept is hiding. Over 600 fails."""  # noqa: INP001

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

FILE_LINES = 400
FILE_LIMIT = 600
FUNCTION_LINES = 50
LENIENT = {"tests", "bench", "sipp-scenarios"}
"""Folders whose files never fail."""
NOT_OURS = {"build", "dist", "var"}


def main() -> int:
    """Print the offenders; 1 when a file of the program is over the limit."""
    failed = False
    for path in sources(Path()):
        text = path.read_text(encoding="utf-8")
        lines = text.count("\n")
        program = path.parts[0] not in LENIENT
        if lines > FILE_LINES:
            sys.stdout.write(f"{path}: {lines} lines\n")
        if program:
            for function, line, length in long_functions(text):
                sys.stdout.write(f"{path}:{line}: {function} has {length} lines\n")
        failed |= program and lines > FILE_LIMIT
    return int(failed)


def sources(root: Path) -> Iterator[Path]:
    """Give the Python files of this checkout, and nothing that tools or builds left in it."""
    for path in sorted(root.iterdir()):
        if path.is_dir() and not path.name.startswith(".") and path.name not in NOT_OURS:
            yield from sources(path)
        elif path.suffix == ".py":
            yield path


def long_functions(text: str) -> Iterator[tuple[str, int, int]]:
    """Give name, first line and length of each function that is too long."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > FUNCTION_LINES:
                yield node.name, node.lineno, length


if __name__ == "__main__":
    sys.exit(main())
