"""Every SIPp scenario over every transport, each party graded."""

import asyncio
from pathlib import Path

import pytest

from tests.support.sipp_runner import SippRun, scenarios

pytestmark = [pytest.mark.needs("sipp"), pytest.mark.timeout(300)]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_every_party_of_every_scenario_is_content(tmp_path: Path, transport: str) -> None:
    async def play() -> list[str]:
        faults: list[str] = []
        for no_answer_s in sorted({one.no_answer_s for one in scenarios()}):
            folder = tmp_path / f"node-{no_answer_s:g}"
            folder.mkdir()
            run = SippRun(folder, transport, no_answer_s=no_answer_s)
            await run.start()
            try:
                for scenario in scenarios():
                    if scenario.no_answer_s == no_answer_s:
                        grades = await run.play(scenario)
                        faults += [f"{scenario.name}: {g.party}: {g.detail}" for g in grades if not g.ok]
            finally:
                assert await run.stop() == 0
        return faults

    assert asyncio.run(play()) == []


def test_a_scenario_whose_party_sees_something_else_fails(tmp_path: Path) -> None:
    """The grading itself can fail: an agent that expects 404 and gets 480 is not content."""
    wrong = next(one for one in scenarios() if one.name == "refusals/no-business-phone")
    values = {**wrong.values, "STATUS": "404"}

    async def play() -> list[bool]:
        run = SippRun(tmp_path, "udp")
        await run.start()
        try:
            grades = await run.play(type(wrong)(**{**wrong.__dict__, "values": values, "calls": 1}))
        finally:
            await run.stop()
        return [grade.ok for grade in grades if grade.party.startswith("agent")]

    assert asyncio.run(play()) == [False]
