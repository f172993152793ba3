"""How the program lives and stops: starting, ready, draining, stopping.

Signal handlers only put a request into a queue; the main task acts on it. The first SIGTERM or SIGINT (or a
drain asked for over the API) drains: not ready, no new calls, those in progress go on for up to
`drain_timeout_s`. The second one stops at once. Not here: what draining means to the services; they are told
through `on_phase`.
"""

import asyncio
import importlib
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar

Result = TypeVar("Result")

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Phase(Enum):
    """Where in its life the program is; it only moves forwards."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class Request:
    """Somebody wants the program to end."""

    reason: str
    """What asked: `SIGTERM`, `SIGINT`, `api`, or a fault in words."""
    at_once: bool = False
    """Whether calls in progress are not waited for."""
    exit_code: int = 0
    """What the program exits with when nothing worse happens."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How the life ended."""

    reason: str
    drained: bool
    """Whether every call had ended by itself."""
    exit_code: int
    """0 when drained (or told to stop without any call left), 1 when calls were cut off, else the
    request's."""


class Lifecycle:
    """The program's phase, and the wait for its end. One per process; used on the event loop only."""

    def __init__(self, drain_timeout_s: float, on_phase: Callable[[Phase, str], None]) -> None:
        """`on_phase` is told of each new phase and its reason, before anything else happens in it."""
        self._drain_timeout_s = drain_timeout_s
        self._on_phase = on_phase
        self._requests: asyncio.Queue[Request] = asyncio.Queue()
        self.phase = Phase.STARTING

    @contextmanager
    def signals(self) -> Iterator[None]:
        """Turn SIGTERM and SIGINT into requests while the block runs."""
        loop = asyncio.get_running_loop()
        for number in STOP_SIGNALS:
            loop.add_signal_handler(number, self.request, Request(number.name))
        try:
            yield
        finally:
            for number in STOP_SIGNALS:
                loop.remove_signal_handler(number)

    def request(self, request: Request) -> None:
        """Ask for the end: the first time drains (unless `at_once`), the second time stops."""
        self._requests.put_nowait(request)

    def ready(self) -> None:
        """Say that everything has started; calls are welcome."""
        self._enter(Phase.READY, "started")

    async def run(self, drained: Callable[[], Awaitable[object]]) -> Ending:
        """Wait for a request, drain, and tell how it ended; the caller then stops the services.

        `drained` is awaited while draining, and returns when no call is left.
        """
        first = await self._requests.get()
        if first.at_once:
            return self._stop(first.reason, drained=False, exit_code=first.exit_code or 1)
        self._enter(Phase.DRAINING, first.reason)
        waiting = asyncio.ensure_future(_result_of(drained))
        second = asyncio.ensure_future(self._requests.get())
        try:
            await asyncio.wait(
                {waiting, second}, timeout=self._drain_timeout_s, return_when=asyncio.FIRST_COMPLETED
            )
            if waiting.done():
                waiting.result()
                return self._stop(f"{first.reason}, drained", drained=True, exit_code=first.exit_code)
            if second.done():
                reason = f"{first.reason}, then {second.result().reason}"
                return self._stop(reason, drained=False, exit_code=first.exit_code or 1)
            reason = f"{first.reason}, calls still there after {self._drain_timeout_s:g} s"
            return self._stop(reason, drained=False, exit_code=first.exit_code or 1)
        finally:
            for task in (waiting, second):
                task.cancel()
            await asyncio.gather(waiting, second, return_exceptions=True)

    def _stop(self, reason: str, *, drained: bool, exit_code: int) -> Ending:
        self._enter(Phase.STOPPING, reason)
        return Ending(reason, drained, exit_code)

    def _enter(self, phase: Phase, reason: str) -> None:
        self.phase = phase
        self._on_phase(phase, reason)


async def _result_of(drained: Callable[[], Awaitable[object]]) -> None:
    await drained()


def run_on_loop(main: Coroutine[Any, Any, Result]) -> Result:
    """Run the main coroutine on uvloop when it is installed, else on the standard loop."""
    try:
        factory = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        factory = None
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(main)
