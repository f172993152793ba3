"""Several media engines as one: each call stays on the engine that took its first offer.

Not here: the engines' processes. New calls go round the engines that are up; an engine that is down or has no ports
left is passed over.
"""

from __future__ import annotations

from collections.abc import Sequence

from sbc.media.client import NgClient
from sbc.media.engine import CallStats, MediaProfile
from sbc.media.errors import MediaEngineDown, MediaTimeout, NoPortsLeft, UnknownCall


class MediaPool:
    """A MediaEngine made of several."""

    def __init__(self, engines: Sequence[NgClient]) -> None:
        self._engines = tuple(engines)
        self._next = 0

    async def offer(
        self,
        call_id: str,
        from_tag: str,
        sdp: bytes,
        *,
        towards: MediaProfile,
        received_on: MediaProfile,
        to_tag: str | None = None,
    ) -> bytes:
        """See MediaEngine; for a new call each engine is tried in turn until one takes it."""
        home = self._find(call_id)
        if home is not None:
            return await home.offer(
                call_id, from_tag, sdp, towards=towards, received_on=received_on, to_tag=to_tag
            )
        self._next = (self._next + 1) % len(self._engines)
        engines = self._engines[self._next :] + self._engines[: self._next]
        failure: MediaEngineDown | MediaTimeout | NoPortsLeft = MediaEngineDown("there is no media engine")
        for engine in engines:
            try:
                return await engine.offer(
                    call_id, from_tag, sdp, towards=towards, received_on=received_on, to_tag=to_tag
                )
            except (MediaEngineDown, MediaTimeout, NoPortsLeft) as error:
                failure = error
        raise failure

    async def answer(
        self,
        call_id: str,
        from_tag: str,
        to_tag: str,
        sdp: bytes,
        *,
        towards: MediaProfile,
        received_on: MediaProfile,
    ) -> bytes:
        """See MediaEngine."""
        return await self._home(call_id).answer(
            call_id, from_tag, to_tag, sdp, towards=towards, received_on=received_on
        )

    async def delete(self, call_id: str, from_tag: str) -> CallStats:
        """See MediaEngine; a call that no engine took has no statistics."""
        home = self._find(call_id)
        return CallStats() if home is None else await home.delete(call_id, from_tag)

    async def query(self, call_id: str) -> CallStats:
        """See MediaEngine."""
        return await self._home(call_id).query(call_id)

    def _home(self, call_id: str) -> NgClient:
        home = self._find(call_id)
        if home is None:
            raise UnknownCall("no media engine has that call")
        return home

    def _find(self, call_id: str) -> NgClient | None:
        return next((engine for engine in self._engines if engine.carries(call_id)), None)
