"""Directories that keep themselves fresh: read in a thread, watched, swapped whole."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from directory.errors import DirectoryError
from directory.file_source import read_people
from directory.index import Index
from directory.model import Entry, Finding
from events import DirectoryLoaded, DirectoryRefused, EventBus

log = logging.getLogger(__name__)

Stamp = tuple[int, int, int]


class Directory:
    """One tenant's people."""

    def __init__(
        self,
        tenant: str,
        path: Path,
        bus: EventBus,
        *,
        wall: Callable[[], float] = time.time,
        interval_s: float = 1.0,
    ) -> None:
        self.tenant = tenant
        self.index = Index(())
        """What is in use; replaced whole, never changed."""
        self.findings: list[Finding] = []
        self._path = path
        self._bus = bus
        self._wall = wall
        self._interval_s = interval_s
        self._stamp: Stamp | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Read the file and begin to watch it; raises DirectoryError when it cannot be read."""
        await self.load()
        self._task = asyncio.create_task(self._watch(), name=f"directory {self.tenant}")

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def load(self) -> None:
        """Read the file now; raises DirectoryError and keeps what is in use."""
        self._stamp = await asyncio.to_thread(_stamp, self._path)
        index, findings = await asyncio.to_thread(_read, self._path)
        self.index, self.findings = index, findings
        for finding in findings[:20]:
            log.warning("directory row", extra={"tenant": self.tenant, "detail": str(finding)})
        log.info(
            "directory loaded", extra={"tenant": self.tenant, "people": len(index), "findings": len(findings)}
        )
        self._bus.publish(DirectoryLoaded(self.tenant, len(index), len(findings), self._wall()))

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            stamp = await asyncio.to_thread(_stamp, self._path)
            if stamp == self._stamp:
                continue
            try:
                await self.load()
            except DirectoryError as error:
                self._stamp = stamp
                log.warning(
                    "directory refused, the last one stays",
                    extra={"tenant": self.tenant, "detail": str(error)},
                )
                self._bus.publish(DirectoryRefused(self.tenant, str(error)))


class Directories:
    """The directories of all tenants, as routing asks them."""

    def __init__(self, directories: Mapping[str, Directory]) -> None:
        self._directories = dict(directories)

    def by_number(self, tenant: str, number: str) -> Entry | None:
        """Find by E.164 number."""
        directory = self._directories.get(tenant)
        return directory.index.by_number(number) if directory is not None else None

    def by_address(self, tenant: str, address: str) -> Entry | None:
        """Find by e-mail address, alias or UPN."""
        directory = self._directories.get(tenant)
        return directory.index.by_address(address) if directory is not None else None

    def by_extension(self, tenant: str, extension: str) -> Entry | None:
        """Find by extension."""
        directory = self._directories.get(tenant)
        return directory.index.by_extension(extension) if directory is not None else None

    def by_id(self, tenant: str, person_id: str) -> Entry | None:
        """Find by id."""
        directory = self._directories.get(tenant)
        return directory.index.by_id(person_id) if directory is not None else None


def _read(path: Path) -> tuple[Index, list[Finding]]:
    people, findings = read_people(path)
    index = Index(people)
    return index, findings + index.findings


def _stamp(path: Path) -> Stamp | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
