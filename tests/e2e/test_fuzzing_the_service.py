"""200,000 damaged messages over UDP and TCP against the running service."""

import asyncio
from pathlib import Path

import pytest

from tests.support.fuzzing import fuzz
from tests.support.node import Node


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_hundred_thousand_damaged_messages_leave_the_service_answering(tmp_path: Path) -> None:
    async def attack() -> list[str]:
        node = Node(tmp_path, extra="[limits]\nban_s = 0\n")
        await node.start()
        try:
            return await fuzz(node, 200_000, seed=2)
        finally:
            await node.stop()

    assert asyncio.run(attack()) == []
