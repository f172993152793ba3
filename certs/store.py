"""The node's identities, watched: a changed pair of files is taken up, a bad one is refused and the old one stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from certs.errors import CertificateError
from certs.identity import Identity, load_identity

log = logging.getLogger(__name__)

Stamp = tuple[tuple[int, int, int], ...]


@dataclass(frozen=True, slots=True)
class Files:
    """Where an identity is read from."""

    chain: Path
    key: Path
    password: str | None = None


class CertificateStore:
    """Identities by name. `load` reads them all; `watch` keeps them fresh; `changed` and `refused` hear what happens."""

    def __init__(
        self,
        files: Mapping[str, Files],
        *,
        changed: Callable[[Identity], None] = lambda _identity: None,
        refused: Callable[[str, str], None] = lambda _name, _reason: None,
        interval_s: float = 2.0,
    ) -> None:
        self._files = dict(files)
        self._changed = changed
        self._refused = refused
        self._interval_s = interval_s
        self._identities: dict[str, Identity] = {}
        self._stamps: dict[str, Stamp | None] = {}

    def load(self) -> None:
        """Read every identity; raises CertificateError for the first that cannot be used."""
        for name, files in self._files.items():
            self._stamps[name] = _stamp(files)
            self._take(load_identity(name, files.chain, files.key, files.password))

    def __getitem__(self, name: str) -> Identity:
        return self._identities[name]

    def names(self) -> tuple[str, ...]:
        """Return the names of all identities."""
        return tuple(self._identities)

    async def watch(self) -> None:
        """Look for changed files for ever; ends when cancelled."""
        while True:
            await asyncio.sleep(self._interval_s)
            for name, files in self._files.items():
                await self._look(name, files)

    async def _look(self, name: str, files: Files) -> None:
        stamp = await asyncio.to_thread(_stamp, files)
        if stamp == self._stamps[name] or stamp is None:
            return
        await asyncio.sleep(min(0.2, self._interval_s))  # let a writer finish both files
        self._stamps[name] = await asyncio.to_thread(_stamp, files)
        try:
            identity = await asyncio.to_thread(load_identity, name, files.chain, files.key, files.password)
        except CertificateError as error:
            log.warning(
                "certificate refused, the old one stays", extra={"certificate": name, "detail": str(error)}
            )
            self._refused(name, str(error))
            return
        if identity.facts.serial != self._identities[name].facts.serial:
            log.info(
                "certificate replaced", extra={"certificate": name, "until": str(identity.facts.not_after)}
            )
            self._take(identity)

    def _take(self, identity: Identity) -> None:
        self._identities[identity.name] = identity
        self._changed(identity)


def _stamp(files: Files) -> Stamp | None:
    """Return what changes when either file does; ``None`` while one is missing."""
    try:
        seen = [path.stat() for path in (files.chain, files.key)]
    except OSError:
        return None
    return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in seen)
