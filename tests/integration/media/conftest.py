"""Both media engines, for the tests that hold either to the same promises."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from sbc.media.client import NgClient
from sbc.media.errors import MediaError
from sbc.media.supervisor import RelayOptions, RelaySupervisor
from tests.support.media_peers import Phone

LOOPBACK = (("default", "127.0.0.1", "127.0.0.1"),)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _range() -> tuple[int, int]:
    """Return a range of ports of this test process's own: tests may run side by side."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:])
    first = 21_000 + 1000 * worker
    return first, first + 499


@contextlib.asynccontextmanager
async def _relay() -> AsyncIterator[NgClient]:
    first, last = _range()
    supervisor = RelaySupervisor(RelayOptions(LOOPBACK, first, last, quarantine_s=0.0))
    await supervisor.start()
    try:
        yield supervisor.client
    finally:
        await supervisor.stop()


@contextlib.asynccontextmanager
async def _rtpengine(folder: Path) -> AsyncIterator[NgClient]:
    program = shutil.which("rtpengine", path=os.environ.get("PATH", "") + ":/usr/sbin")
    assert program is not None
    port, (first, _) = _free_port(), _range()
    process = await asyncio.create_subprocess_exec(
        program,
        *("--interface=lo/127.0.0.1", f"--listen-ng=127.0.0.1:{port}", "--foreground", "--log-stderr"),
        *("--table=-1", "--num-threads=1", f"--port-min={first + 500}", f"--port-max={first + 899}"),
        *(f"--pidfile={folder}/rtpengine.pid", "--log-level=3"),
        stderr=asyncio.subprocess.DEVNULL,
    )
    client = NgClient(timeout_s=0.3)
    try:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(MediaError):
                    await client.connect("127.0.0.1", port)
                    await client.ping()
                    break
        client.close()
        client = NgClient(timeout_s=2.0)
        await client.connect("127.0.0.1", port)
        yield client
    finally:
        client.close()
        with contextlib.suppress(
            ProcessLookupError
        ):  # it may have lost a race for its port and gone by itself
            process.terminate()
        await process.wait()


@pytest.fixture(params=["relay", pytest.param("rtpengine", marks=pytest.mark.needs("rtpengine"))])
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[NgClient]:
    async with _relay() if request.param == "relay" else _rtpengine(tmp_path) as client:
        yield client


@pytest.fixture
async def relay() -> AsyncIterator[NgClient]:
    async with _relay() as client:
        yield client


@pytest.fixture
def phones() -> Iterator[Callable[..., Phone]]:
    made: list[Phone] = []

    def make(**arguments: object) -> Phone:
        made.append(Phone(**arguments))
        return made[-1]

    yield make
    for phone in made:
        phone.close()
