"""The media engines of a node, as configured: embedded relays that we run, or rtpengines that run beside us.

Calls are shared out over all of them; what each one's end means is the same: its calls are reported lost, new calls use the others.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial

from config.media import Media
from events import EventBus, MediaEngineState
from sbc.media.client import NgClient
from sbc.media.engine import MediaEngine
from sbc.media.errors import MediaEngineDown, MediaError
from sbc.media.pool import MediaPool
from sbc.media.supervisor import RelayOptions, RelaySupervisor

log = logging.getLogger(__name__)

PING_EVERY_S = 1.0
PINGS_MISSED = 3

Lost = Callable[[Sequence[str], str], None]


class MediaService:
    """Starts, watches and stops the engines; `engine` is what calls ask."""

    def __init__(self, settings: Media, bus: EventBus, lost: Lost) -> None:
        self._settings = settings
        self._bus = bus
        self._lost = lost
        self._relays: list[RelaySupervisor] = []
        self._watchers: list[asyncio.Task[None]] = []
        self._clients: list[NgClient] = []
        self.engine: MediaEngine

    async def start(self) -> None:
        """Start or find every engine; raises MediaError when none can be used."""
        if self._settings.engine == "relay":
            await self._start_relays()
        else:
            await self._find_engines()
        self.engine = MediaPool(self._clients)

    async def stop(self) -> None:
        """Stop what was started."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        for relay in self._relays:
            await relay.stop()
        if not self._relays:
            for client in self._clients:
                client.close()

    async def _start_relays(self) -> None:
        settings = self._settings
        interfaces = (
            ("default", settings.bind_address, settings.advertised),
            *((item.name, item.bind_address, item.advertised) for item in settings.interfaces),
        )
        share = (settings.port_max + 1 - settings.port_min) // settings.workers // 2 * 2
        for number in range(settings.workers):
            first = settings.port_min + number * share
            options = RelayOptions(interfaces, first, first + share - 1, settings.session_idle_s)
            name = f"relay-{number + 1}"
            relay = RelaySupervisor(
                options, timeout_s=settings.timeout_s, on_lost=self._lost, on_state=partial(self._state, name)
            )
            self._relays.append(relay)
            await relay.start()
            self._clients.append(relay.client)

    async def _find_engines(self) -> None:
        for host, port in self._settings.ng_endpoints:
            client = NgClient(timeout_s=self._settings.timeout_s)
            await client.connect(host, port)
            self._clients.append(client)
            name = f"{host}:{port}"
            try:
                await client.ping()
                self._state(name, True, "")
            except MediaError as error:
                self._state(name, False, str(error))
            self._watchers.append(asyncio.create_task(self._watch(name, client), name=f"media {name}"))
        if not self._clients:
            raise MediaEngineDown("no rtpengine is configured (media.ng)")

    async def _watch(self, name: str, client: NgClient) -> None:
        missed = 0
        while True:
            await asyncio.sleep(PING_EVERY_S)
            try:
                await client.ping()
            except MediaError as error:
                missed += 1
                if missed == PINGS_MISSED:
                    address = client.address
                    lost = client.engine_lost(str(error))
                    self._state(name, False, str(error), len(lost))
                    self._lost(lost, f"media engine {name} does not answer")
                    if address is not None:
                        await client.connect(*address)
                continue
            if missed >= PINGS_MISSED:
                self._state(name, True, "")
            missed = 0

    def _state(self, name: str, up: bool, reason: str, lost: int = 0) -> None:
        log.log(
            logging.INFO if up else logging.ERROR,
            "media engine %s",
            "up" if up else "down",
            extra={"engine": name},
        )
        self._bus.publish(MediaEngineState(name, up, reason, lost))
