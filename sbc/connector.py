"""From targets and next hops to flows: at once when a connection is open, else by a task that dials.

Callers hand in what to do with the flow and what to do without, so that the ordinary case costs no task and no waiting.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine

from config.trunks import Target
from sbc.sip.uri import Uri
from sbc.transport import Flow, Remote, SipTransport, TransportError
from sbc.trunks.trunk import Trunk

log = logging.getLogger(__name__)

Use = Callable[[Flow], None]
Failed = Callable[[str], None]


class Connector:
    """Finds or dials connections for trunks."""

    def __init__(self, transport: SipTransport) -> None:
        self._transport = transport
        self._tasks: set[asyncio.Task[None]] = set()

    def with_target(self, trunk: Trunk, target: Target, use: Use, failed: Failed) -> None:
        """Reach a trunk's target; one that asks for SRV is looked up first."""
        if target.srv:
            self._spawn(self._by_service(trunk, target, use, failed))
        else:
            self._reach((trunk.remote(target.host, target.port, target.transport.upper()),), use, failed)

    def with_next_hop(self, trunk: Trunk, next_hop: Uri, use: Use, failed: Failed) -> None:
        """Reach a dialog's next hop (RFC 3261 §8.1.2), else the trunk's own targets.

        The transport is the URI's, or for a URI that says nothing the trunk's; a secure trunk is never left for a clear one.
        """
        settings = trunk.settings
        named = (next_hop.param("transport") or "").upper()
        transport = (
            named
            if named in ("UDP", "TCP", "TLS") and settings.transport != "tls"
            else settings.transport.upper()
        )
        port = next_hop.port or (5061 if transport == "TLS" else 5060)
        hops = [trunk.remote(next_hop.host, port, transport)]
        hops += [
            trunk.remote(target.host, target.port, target.transport.upper())
            for target in trunk.health.candidates()
            if not target.srv
        ]
        self._reach(tuple(dict.fromkeys(hops)), use, failed)

    def _reach(self, remotes: tuple[Remote, ...], use: Use, failed: Failed) -> None:
        flow = self._transport.ready(remotes[0])
        if flow is not None:
            use(flow)
        else:
            self._spawn(self._dial(remotes, use, failed))

    async def _dial(self, remotes: tuple[Remote, ...], use: Use, failed: Failed) -> None:
        reason = "no target"
        for remote in remotes:
            try:
                flow = await self._transport.connect(remote)
            except TransportError as error:
                reason = str(error)
                log.warning("cannot connect", extra={"trunk": remote.trunk, "detail": reason})
                continue
            use(flow)
            return
        failed(reason)

    async def _by_service(self, trunk: Trunk, target: Target, use: Use, failed: Failed) -> None:
        transport = target.transport.upper()
        places = await self._transport.resolver.services(target.host, transport)
        await self._dial(tuple(trunk.remote(host, port, transport) for host, port in places), use, failed)

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("dialling failed unexpectedly", exc_info=error)

    @property
    def tasks(self) -> int:
        """Diallings in progress."""
        return len(self._tasks)

    def stop(self) -> None:
        """Give up every dialling in progress."""
        for task in self._tasks:
            task.cancel()
