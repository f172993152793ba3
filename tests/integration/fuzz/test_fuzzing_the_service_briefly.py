"""A few thousand damaged messages against the running service; `./dev e2e` sends 200,000."""

import asyncio
from pathlib import Path

from tests.support.fuzzing import fuzz
from tests.support.node import Node

NO_BANS = "[limits]\nban_s = 0\n"


def test_damaged_messages_leave_the_service_answering(tmp_path: Path) -> None:
    async def attack() -> list[str]:
        node = Node(tmp_path, extra=NO_BANS)
        await node.start()
        try:
            return await fuzz(node, 6_000, seed=1)
        finally:
            await node.stop()

    assert asyncio.run(attack()) == []
