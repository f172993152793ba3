"""A few hundred calls leave nothing behind; `./dev e2e` places three thousand."""

import asyncio
from pathlib import Path

import pytest

from tests.support.load import calls_under_load


@pytest.mark.needs("sipp")
@pytest.mark.timeout(200)
def test_three_hundred_calls_leave_nothing_behind(tmp_path: Path) -> None:
    outcome = asyncio.run(calls_under_load(tmp_path, calls=300, rate=30))
    assert outcome.faults == []
