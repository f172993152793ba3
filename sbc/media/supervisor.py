"""Keeps an embedded relay alive: starts its process, watches it, starts it again, and says which calls were lost.

Not here: what the relay does (`relay`), the commands (`client`). A relay that exits, or that answers no ping, is
replaced at once; one that keeps dying is tried again at growing intervals, up to a second.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sbc.media.client import NgClient
from sbc.media.errors import MediaEngineDown, MediaError

log = logging.getLogger(__name__)

_READY_S = 10.0
_PING_EVERY_S = 1.0
_PINGS_MISSED = 3
_BACKOFF_FIRST_S = 0.05
_BACKOFF_MAX_S = 1.0
_STOP_S = 2.0
_STDERR_LINE = 500


@dataclass(frozen=True, slots=True)
class RelayOptions:
    """How to start a relay. `interfaces` are (name, address to bind, address to write into SDP), the default first."""

    interfaces: tuple[tuple[str, str, str], ...]
    port_min: int = 30_000
    port_max: int = 39_999
    session_idle_s: float = 3600.0
    relatch_after_s: float = 5.0
    quarantine_s: float = 5.0

    def arguments(self) -> list[str]:
        """Return the command line, without the interpreter."""
        interfaces = [f"--interface={name}/{bind}!{advertised}" for name, bind, advertised in self.interfaces]
        return [
            "-m",
            "sbc.media.relay",
            "--listen-ng=127.0.0.1:0",
            "--until-stdin-closes",
            *interfaces,
            f"--ports={self.port_min}-{self.port_max}",
            f"--session-idle-s={self.session_idle_s}",
            f"--relatch-after-s={self.relatch_after_s}",
            f"--quarantine-s={self.quarantine_s}",
        ]


class RelaySupervisor:
    """One relay process and its client. `on_lost` gets the ids of the calls that lost their media."""

    def __init__(
        self,
        options: RelayOptions,
        *,
        timeout_s: float = 2.0,
        on_lost: Callable[[Sequence[str], str], None] = lambda _calls, _reason: None,
        on_state: Callable[[bool, str], None] = lambda _up, _reason: None,
    ) -> None:
        self._options = options
        self._on_lost = on_lost
        self._on_state = on_state
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self._stderr: asyncio.Task[None] | None = None
        self.client = NgClient(timeout_s=timeout_s)
        """The engine; the same object over all restarts."""
        self.restarts = 0
        """How many times the relay had to be started again."""

    @property
    def pid(self) -> int | None:
        """The relay's process id; None while there is none."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the relay; returns when it answers. MediaEngineDown when it cannot be started."""
        await self._launch()
        self._task = asyncio.create_task(self._keep_alive(), name="media relay supervisor")

    async def stop(self) -> None:
        """End the relay and wait for it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        self.client.close()
        await self._end_process()

    # ---- the process's life ---------------------------------------------------------------------------------

    async def _launch(self) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *self._options.arguments(),
            env=_environment(),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,  # a terminal's Ctrl-C is for us: calls may still drain
        )
        self._process = process
        self._stderr = asyncio.create_task(_log_lines(process), name="media relay log")
        try:
            host, port = await asyncio.wait_for(_ready(process), _READY_S)
            await self.client.connect(host, port)
            await self.client.ping()
        except (MediaError, OSError, TimeoutError) as error:
            await self._end_process()
            raise MediaEngineDown(
                f"the relay does not start: {str(error) or type(error).__name__}"
            ) from error
        self._on_state(True, "")

    async def _keep_alive(self) -> None:
        backoff_s = _BACKOFF_FIRST_S
        while True:
            started = time.monotonic()
            reason = await self._watch()
            await self._end_process()
            lost = self.client.engine_lost(reason)
            log.error("media relay lost", extra={"reason": reason, "calls": len(lost)})
            self._on_state(False, reason)
            self._on_lost(lost, reason)
            if time.monotonic() - started > 10:
                backoff_s = _BACKOFF_FIRST_S
            while True:
                await asyncio.sleep(backoff_s)
                backoff_s = min(backoff_s * 2, _BACKOFF_MAX_S)
                self.restarts += 1
                try:
                    await self._launch()
                    break
                except MediaEngineDown as error:
                    log.error("media relay not started", extra={"reason": str(error)})  # noqa: TRY400

    async def _watch(self) -> str:
        """Return why the relay is no more, or no good."""
        process = self._process
        assert process is not None
        gone = asyncio.ensure_future(process.wait())
        missed = 0
        try:
            while True:
                done, _ = await asyncio.wait({gone}, timeout=_PING_EVERY_S)
                if done:
                    return f"the relay ended with status {gone.result()}"
                try:
                    await self.client.ping()
                    missed = 0
                except MediaError:
                    missed += 1
                if missed >= _PINGS_MISSED:
                    return "the relay does not answer"
        finally:
            gone.cancel()

    async def _end_process(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _STOP_S)
            except TimeoutError:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if self._stderr is not None:
            await self._stderr
            self._stderr = None


def _environment() -> dict[str, str]:
    """Return our environment, in which the relay finds this very package wherever it is started."""
    root = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH"))))}


async def _ready(process: asyncio.subprocess.Process) -> tuple[str, int]:
    assert process.stdout is not None
    line = await process.stdout.readline()
    try:
        host, port = json.loads(line)["ng"]
    except (ValueError, KeyError, TypeError) as error:
        raise MediaEngineDown(f"it says {line[:100]!r} instead of its address") from error
    return str(host), int(port)


async def _log_lines(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while True:
        try:
            line = await process.stderr.readline()
        except ValueError:  # longer than the stream's limit
            continue
        if not line:
            return
        text = line.decode(errors="replace").rstrip()[:_STDERR_LINE]
        log.warning("media relay says: %s", text)
