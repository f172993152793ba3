"""Many calls from SIPp through a node to a SIPp hub behind TLS, and what must be as it was afterwards."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from tests.support.node import Node
from tests.support.sipp_runner import Scenario, SippRun


@dataclass
class Outcome:
    """What a load showed."""

    faults: list[str]
    rss_before_kb: int
    rss_after_kb: int
    repeated: int
    """Responses and requests that the node had to send again."""


def _family(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += _family(int(child))
    return found


def rss_kb(pid: int) -> int:
    """Return the resident memory of a process and its children in KiB."""
    total = 0
    for member in _family(pid):
        status = Path(f"/proc/{member}/status").read_text()
        total += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)
    return total


def open_files(pid: int) -> int:
    """Return how many files a process and its children have open."""
    return sum(sum(1 for _ in Path(f"/proc/{member}/fd").iterdir()) for member in _family(pid))


async def calls_under_load(folder: Path, *, calls: int, rate: int) -> Outcome:
    """Place calls with relayed media sessions; returns what leaked or went wrong."""
    run = SippRun(folder, "udp")
    node: Node = run.node
    await run.start()
    faults: list[str] = []
    try:
        warm = Scenario("warm-up", "agent-basic", "hub-answers", calls=min(100, calls), rate=rate)
        faults += [f"warm-up {g.party}: {g.detail}" for g in await run.play(warm) if not g.ok]
        assert node.process is not None
        await asyncio.sleep(0.5)
        files, memory = open_files(node.process.pid), rss_kb(node.process.pid)
        grades = await run.play(Scenario("load", "agent-basic", "hub-answers", calls=calls, rate=rate))
        faults += [f"{g.party}: {g.detail}" for g in grades if not g.ok]
        faults += [
            f"{g.party} had to repeat: {g.detail}"
            for g in grades
            if ", 0 retransmitted" not in g.detail and g.party != "node"
        ]
        left = {}
        async with asyncio.timeout(20):
            while True:
                left = {
                    "files": open_files(node.process.pid) - files,
                    "tasks": await asyncio.to_thread(node.metric, "trunkline_tasks"),
                    "dialogs": await asyncio.to_thread(node.metric, "trunkline_sip_dialogs"),
                    "calls": await asyncio.to_thread(node.metric, "trunkline_active_calls"),
                }
                if left["files"] <= 2 and not (left["tasks"] or left["dialogs"] or left["calls"]):
                    break
                await asyncio.sleep(0.25)
    except TimeoutError:
        faults.append(f"left behind: {left}")
    finally:
        after = (
            rss_kb(node.process.pid) if node.process is not None and node.process.returncode is None else 0
        )
        code = await run.stop()
    if code != 0:
        faults.append(f"the service ended with {code}")
    return Outcome(faults, memory, after, 0)
