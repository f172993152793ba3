"""What can be wrong with a configuration, in words for an admin.

The package's error tree::

    ConfigError        the settings cannot be used; `.problems` names everything that is wrong
"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong, with the place where it was written."""

    where: str
    """The file (or environment variable) that the value came from."""
    line: int | None
    """The line in that file, counted from 1; None when there is no line to name."""
    path: str
    """The setting, as `trunks "teams": certificate`; empty for the file as a whole."""
    message: str
    """What is wrong and what would be right; holds no secret."""

    def __str__(self) -> str:
        """Give `FILE:LINE: SETTING: MESSAGE`, the shape that editors understand."""
        place = self.where if self.line is None else f"{self.where}:{self.line}"
        return f"{place}: {self.path}: {self.message}" if self.path else f"{place}: {self.message}"


class ConfigError(Exception):
    """The settings cannot be used; `problems` names everything that is wrong, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))
