"""The first signal drains, the second stops; the exit code tells whether a call was cut."""

import asyncio
import os
import signal

import pytest

from trunkline.lifecycle import Lifecycle, Phase, Request, run_on_loop


class Node:
    def __init__(self, drain_timeout_s: float = 60.0) -> None:
        self.phases: list[tuple[Phase, str]] = []
        self.draining = asyncio.Event()
        self.no_calls = asyncio.Event()
        self.lifecycle = Lifecycle(drain_timeout_s, self.on_phase)

    def on_phase(self, phase: Phase, reason: str) -> None:
        self.phases.append((phase, reason))
        if phase is Phase.DRAINING:
            self.draining.set()

    async def drained(self) -> None:
        await self.no_calls.wait()


async def test_the_first_signal_drains_and_a_clean_drain_exits_with_0() -> None:
    node = Node()
    with node.lifecycle.signals():
        node.lifecycle.ready()
        ending = asyncio.ensure_future(node.lifecycle.run(node.drained))
        os.kill(os.getpid(), signal.SIGTERM)
        await asyncio.wait_for(node.draining.wait(), 5)
        assert not ending.done()
        node.no_calls.set()
        ended = await asyncio.wait_for(ending, 5)
    assert (ended.drained, ended.exit_code) == (True, 0)
    assert [phase for phase, _ in node.phases] == [Phase.READY, Phase.DRAINING, Phase.STOPPING]
    assert node.phases[1][1] == "SIGTERM"


async def test_the_second_signal_stops_at_once() -> None:
    node = Node()
    with node.lifecycle.signals():
        ending = asyncio.ensure_future(node.lifecycle.run(node.drained))
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.wait_for(node.draining.wait(), 5)
        os.kill(os.getpid(), signal.SIGTERM)
        ended = await asyncio.wait_for(ending, 5)
    assert (ended.drained, ended.exit_code) == (False, 1)
    assert ended.reason == "SIGINT, then SIGTERM"


async def test_a_drain_that_takes_too_long_ends() -> None:
    node = Node(drain_timeout_s=0.01)
    node.lifecycle.request(Request("api"))
    ended = await asyncio.wait_for(node.lifecycle.run(node.drained), 5)
    assert (ended.drained, ended.exit_code) == (False, 1)
    assert "still there after 0.01 s" in ended.reason


async def test_a_fault_stops_without_draining_and_keeps_its_exit_code() -> None:
    node = Node()
    node.lifecycle.request(Request("the listener failed", at_once=True, exit_code=3))
    ended = await asyncio.wait_for(node.lifecycle.run(node.drained), 5)
    assert (ended.exit_code, [phase for phase, _ in node.phases]) == (3, [Phase.STOPPING])


async def test_a_failure_while_draining_is_not_lost() -> None:
    node = Node()

    async def fail() -> None:
        raise RuntimeError("mine")

    node.lifecycle.request(Request("api"))
    with pytest.raises(RuntimeError, match="mine"):
        await asyncio.wait_for(node.lifecycle.run(fail), 5)


async def test_handlers_are_given_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Node().lifecycle.signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_main_coroutine_gives_its_result() -> None:
    async def main() -> int:
        await asyncio.sleep(0)
        return 7

    assert run_on_loop(main()) == 7
