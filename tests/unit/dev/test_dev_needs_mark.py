"""The mark `needs`: a missing program is a skip at home and a failure on CI."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CONFTEST = Path(__file__).parents[2] / "conftest.py"

TESTS = """\
import pytest

@pytest.mark.needs("no-such-program")
def test_missing(): pass

@pytest.mark.needs("sh")
def test_there(): pass
"""


@pytest.mark.parametrize(
    ("ci", "outcome"), [("", {"passed": 1, "skipped": 1}), ("true", {"passed": 1, "errors": 1})]
)
def test_a_missing_program_is_never_a_silent_pass(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, ci: str, outcome: dict[str, int]
) -> None:
    monkeypatch.setenv("CI", ci)
    pytester.makeconftest(CONFTEST.read_text())
    pytester.makepyfile(TESTS)
    pytester.makeini("[pytest]\nmarkers = needs(program)\nasyncio_default_fixture_loop_scope = function\n")
    result = pytester.runpytest("-rs", "-p", "no:cacheprovider")
    counts = result.parseoutcomes()
    assert {key: counts[key] for key in outcome} == outcome
    result.stdout.fnmatch_lines(["*needs the program 'no-such-program', which is not installed*"])
