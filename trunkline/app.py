"""The composition root: the only place that wires the services together.

Start order: log, certificates, directory, media engine, sockets, HTTP. Stop order: the reverse, after the calls.
"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

from certs import CertificateError, CertificateStore, Identity
from certs.store import Files
from config import Settings
from console import ConsoleServer, Metrics, StatusBoard, TrunkFacts, build_app, watch_loop_lag
from directory import Directories, Directory, DirectoryError
from events import CertificateChanged, CertificateRefused, DrainStarted, EventBus
from sbc.media import MediaError
from sbc.media.service import MediaService
from sbc.service import BorderController
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.transport import TransportError
from trunkline import __version__
from trunkline.lifecycle import Lifecycle, Phase, run_on_loop
from trunkline.lifecycle import Request as EndRequest
from trunkline.logs import start_logging

log = logging.getLogger(__name__)

CANNOT_START = 3


class Counter:
    """Counts for the metrics what passes the border controller."""

    def __init__(self, metrics: Metrics) -> None:
        self._count = metrics.sip_message
        self._parse_error = metrics.parse_error
        self.rejected = metrics.rejected_connection

    def received(self, message: Request | Response) -> None:
        """Count a message from a peer."""
        if isinstance(message, Response):
            self._count("in", message.cseq.method, message.status)
        else:
            self._count("in", message.method)

    def sent(self, message: Request | Response) -> None:
        """Count a message to a peer."""
        if isinstance(message, Response):
            self._count("out", message.cseq.method, message.status)
        else:
            self._count("out", message.method)

    def malformed(self, error: ParseError) -> None:
        """Count what could not be read."""
        self._parse_error(error.reason)


class Application:
    """One node."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._bus = EventBus(on_error=_subscriber_failed)
        self._metrics = Metrics()
        self._metrics.subscribe(self._bus)
        self._lifecycle = Lifecycle(settings.node.drain_timeout_s, self._on_phase)
        self._board = StatusBoard(
            node=settings.node.name,
            fqdn=settings.node.fqdn,
            version=__version__,
            trunks=tuple(
                TrunkFacts(t.name, t.kind, t.tenant, t.options_interval_s > 0) for t in settings.trunks
            ),
            request_drain=lambda: self._lifecycle.request(EndRequest("api")),
        )
        self._board.subscribe(self._bus)
        self._border: BorderController | None = None

    async def run(self) -> int:
        """Start, serve until told to stop, stop; returns the exit code."""
        async with AsyncExitStack() as stack:
            try:
                border = await self._start(stack)
            except (CertificateError, DirectoryError, MediaError, TransportError, OSError) as error:
                log.error("cannot start: %s", error)  # noqa: TRY400 - a sentence for the admin, not a traceback
                return CANNOT_START
            gc.collect()
            gc.freeze()  # what exists now stays; the collector need not look at it for every call
            gc.set_threshold(50_000, 20, 50)
            with self._lifecycle.signals():
                self._lifecycle.ready()
                ending = await self._lifecycle.run(border.border.idle)
            log.info("stopping", extra={"reason": ending.reason})
        return ending.exit_code

    async def _start(self, stack: AsyncExitStack) -> BorderController:
        settings = self._settings
        certificates = self._certificates()
        certificates.load()
        people = await self._directories(stack)
        media = MediaService(settings.media, self._bus, self._media_lost)
        await media.start()
        stack.push_async_callback(media.stop)
        border = BorderController(
            settings, certificates, people, media.engine, self._bus, Counter(self._metrics)
        )
        self._border = border
        console = ConsoleServer(
            build_app(self._metrics, self._board, version=__version__),
            settings.http.address,
            settings.http.port,
        )
        self._watch_numbers(border)
        await border.start()
        stack.push_async_callback(border.stop)
        await console.start()
        stack.push_async_callback(console.stop)
        for work, name in (
            (certificates.watch(), "certificates"),
            (watch_loop_lag(self._metrics.loop_lag), "loop lag"),
        ):
            task = asyncio.create_task(work, name=name)
            stack.callback(task.cancel)
        for item in settings.listeners:
            port = border.transport.ports[item.name]
            log.info(
                "listening",
                extra={
                    "listener": item.name,
                    "transport": item.transport,
                    "address": item.address,
                    "port": port,
                },
            )
        log.info("metrics and health", extra={"url": f"http://{settings.http.address}:{console.bound_port}"})
        return border

    def _certificates(self) -> CertificateStore:
        files = {}
        for name, item in self._settings.certificates.items():
            password = item.key_password.get_secret_value() if item.key_password is not None else None
            files[name] = Files(item.chain, item.key, password)

        def changed(identity: Identity) -> None:
            facts = identity.facts
            self._bus.publish(CertificateChanged(identity.name, facts.not_after.timestamp(), facts.names))
            if self._border is not None:
                self._border.certificate_changed(identity.name)

        return CertificateStore(
            files, changed=changed, refused=lambda name, why: self._bus.publish(CertificateRefused(name, why))
        )

    async def _directories(self, stack: AsyncExitStack) -> Directories:
        found: dict[str, Directory] = {}
        for tenant in self._settings.tenants:
            if tenant.directory is not None:
                directory = Directory(tenant.name, tenant.directory, self._bus)
                await directory.start()
                stack.push_async_callback(directory.stop)
                found[tenant.name] = directory
        return Directories(found)

    def _media_lost(self, calls: Sequence[str], reason: str) -> None:
        if self._border is not None:
            self._border.border.media_lost(calls, reason)

    def _watch_numbers(self, border: BorderController) -> None:
        watch = self._metrics.watch
        watch("sip_dialogs", "Dialogs known.", lambda: border.endpoint.dialogs)
        watch("sip_transactions", "Transactions held.", lambda: len(border.endpoint.layer))
        watch("connections", "Open TCP and TLS connections.", lambda: border.transport.connections)
        watch("tasks", "Tasks of the event loop.", lambda: self._tasks)

    @property
    def _tasks(self) -> int:
        return self._border.tasks if self._border is not None else 0

    def _on_phase(self, phase: Phase, reason: str) -> None:
        self._board.phase_is(phase.value, reason)
        if phase is Phase.DRAINING and self._border is not None:
            log.info(
                "draining: no new calls", extra={"reason": reason, "calls": self._border.border.active_calls}
            )
            self._border.drain()
            self._bus.publish(DrainStarted(reason))


def run(settings: Settings) -> int:
    """Run a node until it is told to stop; returns the exit code."""
    options = settings.node.log
    writer = start_logging(options.level, options.format, mask=options.mask_numbers)
    try:
        return run_on_loop(Application(settings).run())
    finally:
        writer.stop()


def _subscriber_failed(event: object, _handler: object, error: Exception) -> None:
    log.error("a listener failed on %s", type(event).__name__, exc_info=error)
