"""The border controller as one service: sockets, endpoint, trunks, calls and media, put together from settings.

What it needs of others comes in: certificates, a `TargetResolver` for people, the event bus, and counters.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import secrets
import time
from collections.abc import Callable
from typing import Protocol

from certs import CertificateStore
from config import Settings
from config.trunks import Target
from events import ConnectionRejected, EventBus, TrunkStateChanged
from sbc.b2bua.border import Border
from sbc.connector import Connector
from sbc.endpoint import Endpoint, MessageCounter
from sbc.gate import Gate
from sbc.guard import Admission, BanList, Limit
from sbc.media import MediaEngine
from sbc.routing import Policy, Router, TargetResolver, TrunkView
from sbc.sip.auth import DigestServer
from sbc.sip.errors import ParseError
from sbc.sip.parser import Limits as MessageLimits
from sbc.sip.timers import Timers
from sbc.transport import Callbacks, Flow, Limits, Listener, PeerRule, Resolver, SipTransport
from sbc.trunks.health import TargetState
from sbc.trunks.monitor import watch
from sbc.trunks.trunk import Trunk

log = logging.getLogger(__name__)


class Counter(MessageCounter, Protocol):
    """What the service counts into."""

    def rejected(self, word: str) -> None:
        """Count a peer that was turned away."""


class BorderController:
    """The running border controller of a node."""

    def __init__(
        self,
        settings: Settings,
        certificates: CertificateStore,
        people: TargetResolver,
        media: MediaEngine,
        bus: EventBus,
        counter: Counter,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._settings = settings
        self._bus = bus
        self._counter = counter
        self._loop = loop
        limits = settings.limits
        self.trunks = {trunk.name: Trunk(trunk, settings) for trunk in settings.trunks}
        timers = Timers(settings.timers.t1_s, settings.timers.t2_s, settings.timers.t4_s)
        self.endpoint = Endpoint(self.trunks, loop, timers, counter, max_transactions=limits.transactions)
        self.admission = Admission(
            Limit(limits.calls_per_s, limits.call_burst, limits.concurrent_calls),
            {t.name: Limit(t.calls_per_s, None, t.concurrent_calls) for t in settings.trunks},
        )
        gate = Gate(
            self.trunks, Router(policies(settings), people), self.admission, _digests(settings), loop.time
        )
        self.border = Border(self.endpoint, media, gate, bus, loop)
        self.endpoint.taker = self.border
        self._bans = BanList(limits.malformed_before_ban, limits.ban_s)
        self.transport = SipTransport(
            listeners(settings),
            peer_rules(settings),
            certificates,
            Resolver(
                time.monotonic,
                static=settings.dns.static,
                nameservers=settings.dns.nameservers,
                min_ttl_s=settings.dns.min_ttl_s,
                max_ttl_s=settings.dns.max_ttl_s,
                timeout_s=settings.dns.timeout_s,
            ),
            transport_limits(settings),
            Callbacks(
                message=self.endpoint.on_message,
                malformed=self._malformed,
                lost=self.endpoint.on_flow_closed,
                rejected=self._rejected,
                banned=lambda source: self._bans.is_banned(source, loop.time()),
            ),
        )
        self._connector = Connector(self.transport)
        self.endpoint.connector = self._connector
        self._watchers: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Listen and begin to ask hubs for their health; raises ListenError."""
        await self.transport.start()
        for trunk in self.trunks.values():
            if not trunk.listener.advertised_port and not trunk.listener.port:
                trunk.advertised_port = self.transport.ports[trunk.listener.name]
            trunk.health.clock = self._loop.time
            trunk.health.changed = self._health_listener(trunk)
            if trunk.settings.options_interval_s > 0:
                for target in trunk.targets:
                    watcher = asyncio.create_task(
                        watch(self.endpoint, trunk, target), name=f"watch {target.host}"
                    )
                    self._watchers.append(watcher)

    async def stop(self) -> None:
        """End what is left of the calls, then close every socket."""
        for watcher in self._watchers:
            watcher.cancel()
        await asyncio.gather(*self._watchers, return_exceptions=True)
        await self.border.end_all("the node stops")
        await self._last_words()
        self._connector.stop()
        await self.transport.stop()

    async def _last_words(self) -> None:
        """Give the peers a moment to answer our BYEs before the sockets close."""
        deadline = self._loop.time() + 1.0
        while self.endpoint.waiting and self._loop.time() < deadline:
            await asyncio.sleep(0.02)

    def drain(self) -> None:
        """Take no more calls; health checks are answered 503 from now on, emergency calls still pass."""
        self.admission.draining = True
        self.border.drain()

    @property
    def tasks(self) -> int:
        """Tasks that this service has running: calls, health checks, dialling."""
        return self.border.tasks + self._connector.tasks + len(self._watchers)

    def certificate_changed(self, name: str) -> None:
        """Show a new certificate: handshakes use it at once, our own connections are replaced."""
        self.transport.renew(name)

    def _health_listener(self, trunk: Trunk) -> Callable[[Target, TargetState, str], None]:
        def changed(target: Target, state: TargetState, why: str) -> None:
            peer = f"{target.host}:{target.port}"
            up = state is TargetState.UP
            level = logging.INFO if up else logging.WARNING
            log.log(
                level,
                "trunk target is %s",
                state.value,
                extra={"trunk": trunk.name, "peer": peer, "detail": why},
            )
            self._bus.publish(TrunkStateChanged(trunk.name, peer, up, why or "answers"))

        return changed

    def _malformed(self, error: ParseError, flow: Flow) -> None:
        self.endpoint.on_parse_error(error, flow)
        source = flow.remote[0]
        if self._bans.fault(source, self._loop.time()):
            log.warning(
                "source banned for malformed messages", extra={"remote": source, "detail": error.reason}
            )

    def _rejected(self, remote: tuple[str, int], word: str, why: str) -> None:
        if word == "no_trunk":
            log.debug("peer turned away", extra={"remote": f"{remote[0]}:{remote[1]}", "detail": why})
            self._counter.rejected(word)
        else:
            log.warning("peer turned away", extra={"remote": f"{remote[0]}:{remote[1]}", "detail": why})
            self._bus.publish(ConnectionRejected(f"{remote[0]}:{remote[1]}", word, why))


def listeners(settings: Settings) -> list[Listener]:
    """Return the listeners in the transport's words."""
    others = tuple(settings.certificates)
    return [
        Listener(
            item.name,
            item.transport.upper(),
            item.address,
            item.port,
            item.certificate,
            others if item.transport == "tls" else (),
        )
        for item in settings.listeners
    ]


def peer_rules(settings: Settings) -> list[PeerRule]:
    """Return who may speak to us, in the transport's words."""
    return [
        PeerRule(
            trunk=trunk.name,
            listeners=frozenset(trunk.accept_on),
            sources=tuple(ipaddress.ip_network(str(source)) for source in trunk.sources),
            require_certificate=trunk.require_client_certificate,
            accepted_sans=trunk.accepted_sans,
            ca_file=trunk.ca_file,
            accept_server_auth_only=trunk.accept_server_auth_only,
        )
        for trunk in settings.trunks
    ]


def transport_limits(settings: Settings) -> Limits:
    """Return the limits on peers, in the transport's words."""
    limits = settings.limits
    return Limits(
        handshakes=limits.handshakes,
        handshakes_per_source=limits.handshakes_per_source,
        connections=limits.connections,
        connections_per_source=limits.connections_per_source,
        handshake_timeout_s=limits.handshake_timeout_s,
        idle_timeout_s=limits.idle_timeout_s,
        first_message_timeout_s=limits.first_message_timeout_s,
        write_buffer_bytes=limits.write_buffer_bytes,
        message=MessageLimits(
            line=limits.line_bytes,
            header_count=limits.header_count,
            header_bytes=limits.header_bytes,
            body=limits.body_bytes,
        ),
    )


def policies(settings: Settings) -> dict[str, Policy]:
    """Return what each tenant allows, in routing's words."""
    found: dict[str, Policy] = {}
    for tenant in settings.tenants:
        mine = [trunk for trunk in settings.trunks if trunk.tenant == tenant.name]
        found[tenant.name] = Policy(
            tenant=tenant.name,
            region=tenant.region,
            routing_enabled=tenant.routing_enabled,
            emergency_numbers=tuple(number.removeprefix("+") for number in tenant.emergency_numbers),
            teams_trunk=next((trunk.name for trunk in mine if trunk.kind == "teams"), None),
            talkdesk_trunks=tuple(TrunkView(t.name, t.numbers) for t in mine if t.kind == "talkdesk"),
        )
    return found


def _digests(settings: Settings) -> dict[str, DigestServer]:
    servers: dict[str, DigestServer] = {}
    for trunk in settings.trunks:
        if trunk.digest_required:
            users = {user.username: user.password.get_secret_value() for user in trunk.digest_users}
            servers[trunk.name] = DigestServer(
                trunk.auth_realm or trunk.fqdn, users.get, secrets.token_bytes(32)
            )
    return servers
