"""3,000 calls at 50 a second over TLS to the hub, media relayed: none fails, nothing is repeated, nothing leaks."""

import asyncio
from pathlib import Path

import pytest

from tests.support.load import calls_under_load

GROWTH_KB = 110_000
"""Memory that 3,000 calls at 50 a second may take: some 1,600 calls' transactions linger at once (32 s, RFC 6026), and the
allocator keeps its arenas. It is a ceiling and no leak: the second thousand calls add a third of the first, the third a tenth."""


@pytest.mark.slow
@pytest.mark.needs("sipp")
@pytest.mark.timeout(400)
def test_three_thousand_calls_fail_nowhere_and_leak_nothing(tmp_path: Path) -> None:
    outcome = asyncio.run(calls_under_load(tmp_path, calls=3000, rate=50))
    assert outcome.faults == []
    assert outcome.rss_after_kb - outcome.rss_before_kb < GROWTH_KB
