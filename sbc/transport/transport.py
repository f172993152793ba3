"""The transport of a node: listeners, accepted connections, and the pools of our own."""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from OpenSSL import SSL

from certs import CertificateStore, client_context, covers, server_context
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.transport.errors import ConnectFailedError, ListenError
from sbc.transport.flow import Address, Flow, plain_address
from sbc.transport.model import Callbacks, Limits, Listener, bound_socket
from sbc.transport.peers import PeerRule, PeerTable, choose
from sbc.transport.pool import Pool, Remote
from sbc.transport.resolver import Resolver
from sbc.transport.stream import BUFFER_BYTES, StreamFlow
from sbc.transport.tls import TlsEngine, chain_is_trusted, verify
from sbc.transport.udp import UdpFlow, UdpSocket

__all__ = ["Callbacks", "Limits", "Listener", "Remote", "SipTransport"]

log = logging.getLogger(__name__)

SWEEP_S = 1.0


class SipTransport:
    """All sockets of a node."""

    def __init__(
        self,
        listeners: Iterable[Listener],
        rules: Iterable[PeerRule],
        certificates: CertificateStore,
        resolver: Resolver,
        limits: Limits,
        callbacks: Callbacks,
    ) -> None:
        self._listeners = {listener.name: listener for listener in listeners}
        self._peers = PeerTable(rules)
        self._certificates = certificates
        self._limits = limits
        self._call = callbacks
        self.message_limits = limits.message
        self.write_buffer_bytes = limits.write_buffer_bytes
        self.resolver = resolver
        self._loop: asyncio.AbstractEventLoop
        self._buffer = bytearray(BUFFER_BYTES)
        self._servers: list[asyncio.Server] = []
        self._sockets: dict[str, UdpSocket] = {}
        self._flows: set[StreamFlow] = set()
        self._shaking: dict[StreamFlow, tuple[PeerRule, ...]] = {}
        self._per_source: Counter[str] = Counter()
        self._contexts: dict[tuple[object, ...], SSL.Context] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self.ports: dict[str, int] = {}
        """The port of each listener, once started."""
        self.pool = Pool(self, limits.connect_timeout_s, limits.handshake_timeout_s)

    # ---- life ------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Listen everywhere; raises ListenError with a sentence."""
        self._loop = asyncio.get_running_loop()
        for listener in self._listeners.values():
            try:
                await self._listen(listener)
            except OSError as error:
                await self.stop()
                reason = (
                    "is already in use" if error.errno == errno.EADDRINUSE else (error.strerror or str(error))
                )
                raise ListenError(
                    f"{listener.transport} port {listener.port} on {listener.address} {reason}"
                ) from None
        self._sweeper = asyncio.create_task(self._sweep(), name="transport sweeper")

    async def _listen(self, listener: Listener) -> None:
        sock = bound_socket(listener)
        if listener.transport == "UDP":
            udp = self._sockets[listener.name] = UdpSocket(listener.name, sock, self)
            udp.start()
        else:
            server = await self._loop.create_server(
                lambda: StreamFlow(self, listener.name, ours=False, buffer=self._buffer),
                sock=sock,
                backlog=1024,
            )
            self._servers.append(server)
        self.ports[listener.name] = plain_address(sock.getsockname())[1]

    async def stop(self) -> None:
        """Close every socket."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers:
            server.close()
        for udp in self._sockets.values():
            udp.stop()
        for flow in tuple(self._flows):
            flow.close("the node stops")
        self.pool.stop()
        await asyncio.sleep(0)  # lets transports close before the loop goes
        for flow in tuple(self._flows):
            flow.abort("the node stops")

    def renew(self, certificate: str | None = None) -> None:
        """Replace our own connections (those of one identity): new requests dial anew, old ones close when quiet."""
        self._contexts.clear()
        self.pool.make_stale(certificate)

    # ---- what connections report (sbc.transport.stream.Owner) ------------------------------------------------------

    def now(self) -> float:
        """Return monotonic seconds."""
        return self._loop.time()

    def connected(self, flow: StreamFlow) -> bool:
        """Take a new connection: its source decides whether it may go on, and with which trust."""
        self._flows.add(flow)
        self._per_source[flow.remote[0]] += 1
        if flow.ours:
            return True
        source = flow.remote[0]
        rules = self._peers.candidates(flow.listener, source)
        if not rules:
            return self._turn_away(flow, "no_trunk", f"no trunk accepts connections from {source}")
        if self._call.banned(source):
            return self._turn_away(flow, "banned", f"{source} is banned for a while")
        if len(self._flows) > self._limits.connections:
            return self._turn_away(flow, "limit", "too many connections")
        if self._per_source[source] > self._limits.connections_per_source:
            return self._turn_away(flow, "limit", f"too many connections from {source}")
        listener = self._listeners[flow.listener]
        if listener.transport == "TLS":
            same = sum(1 for other in self._shaking if other.remote[0] == source)
            if len(self._shaking) >= self._limits.handshakes or same >= self._limits.handshakes_per_source:
                return self._turn_away(flow, "limit", f"too many handshakes in progress ({source})")
            self._shaking[flow] = rules
            flow.engine = TlsEngine(
                self._server_context(listener, rules),
                server=True,
                accept_server_auth_only=any(rule.accept_server_auth_only for rule in rules),
            )
        else:
            self._shaking[flow] = rules
        return True

    def established(self, flow: StreamFlow) -> bool:
        """Decide the trunk of a connection whose handshake is over."""
        if flow.ours:
            return self.pool.established(flow)
        rules = self._shaking.pop(flow, ())
        engine = flow.engine
        facts = engine.facts if engine is not None else None
        if engine is not None and facts is not None and len({rule.ca_file for rule in rules}) > 1:
            chain = engine.chain()
            rules = tuple(
                rule
                for rule in rules
                if not rule.require_certificate
                or chain_is_trusted(chain, str(rule.ca_file) if rule.ca_file is not None else None)
            )
        if facts is not None and "clientAuth" not in facts.eku and facts.eku:
            rules = tuple(
                rule for rule in rules if rule.accept_server_auth_only or not rule.require_certificate
            )
        rule, why = choose(rules, facts)
        if rule is None:
            return self._turn_away(flow, "certificate", why)
        flow.trunk = rule.trunk
        return True

    def message(self, message: Request | Response, flow: StreamFlow | UdpFlow) -> None:
        """Take a message."""
        flow.heard_message = True
        self._call.message(message, flow)

    def malformed(self, error: ParseError, flow: StreamFlow | UdpFlow) -> None:
        """Take what is no message."""
        self._call.malformed(error, flow)

    def lost(self, flow: StreamFlow, reason: str) -> None:
        """Take the end of a connection."""
        if flow not in self._flows:
            return
        self._flows.discard(flow)
        source = flow.remote[0]
        self._per_source[source] -= 1
        if self._per_source[source] <= 0:
            del self._per_source[source]
        if self._shaking.pop(flow, None) is not None and flow.engine is not None:
            self._call.rejected(flow.remote, "tls", f"TLS handshake failed: {reason}")
        if flow.ours:
            self.pool.lost(flow, reason)
        if flow.trunk is not None:
            self._call.lost(flow, reason)

    def trunk_of(self, udp: UdpSocket, source: Address) -> str | None:
        """Return the trunk of a datagram's source; ``None`` drops it unread."""
        rules = self._peers.candidates(udp.name, source[0])
        if not rules:
            self._call.rejected(source, "no_trunk", f"no trunk accepts datagrams from {source[0]}")
            return None
        if self._call.banned(source[0]):
            return None
        return rules[-1].trunk  # those without a certificate rule come last, and UDP has no certificates

    def _turn_away(self, flow: StreamFlow, word: str, why: str) -> bool:
        self._call.rejected(flow.remote, word, why)
        return flow.refuse(why)

    # ---- TLS contexts ----------------------------------------------------------------------------------------------

    def _server_context(self, listener: Listener, rules: tuple[PeerRule, ...]) -> SSL.Context:
        demands = any(rule.require_certificate for rule in rules)
        files = tuple(sorted({rule.ca_file for rule in rules if rule.require_certificate}, key=str))
        everyone = all(rule.require_certificate for rule in rules)
        names = (listener.certificate, *listener.other_certificates)
        contexts = {
            name: self._context(name, files, demands=demands, everyone=everyone) for name in names if name
        }
        assert listener.certificate is not None
        return contexts[listener.certificate]

    def _context(
        self, name: str, files: tuple[Path | None, ...], *, demands: bool, everyone: bool
    ) -> SSL.Context:
        key = ("server", name, files, demands, everyone)
        context = self._contexts.get(key)
        if context is None:
            context = server_context(self._certificates[name], files[0] if files else None)
            for more in files[1:]:
                if more is None:
                    context.set_default_verify_paths()
                else:
                    context.load_verify_locations(str(more))
            if demands:
                mode = SSL.VERIFY_PEER | (SSL.VERIFY_FAIL_IF_NO_PEER_CERT if everyone else 0)
                context.set_verify(mode, verify)
            context.set_tlsext_servername_callback(
                lambda connection: self._choose_by_name(connection, files, demands=demands, everyone=everyone)
            )
            self._contexts[key] = context
        return context

    def _choose_by_name(
        self, connection: SSL.Connection, files: tuple[Path | None, ...], *, demands: bool, everyone: bool
    ) -> None:
        wanted = connection.get_servername()
        if not wanted:
            return
        host = wanted.decode("ascii", "replace")
        engine = connection.get_app_data()
        listener = next((flow.listener for flow in self._shaking if flow.engine is engine), None)
        if listener is None:
            return
        offer = self._listeners[listener]
        for name in (offer.certificate, *offer.other_certificates):
            if name is not None and covers(self._certificates[name].facts.names, (host,)):
                if name != offer.certificate:
                    connection.set_context(self._context(name, files, demands=demands, everyone=everyone))
                return

    def client_engine(self, remote: Remote) -> TlsEngine:
        """Return the TLS side of a connection that we open."""
        key = ("client", remote.certificate, remote.ca_file)
        context = self._contexts.get(key)
        if context is None:
            identity = self._certificates[remote.certificate] if remote.certificate is not None else None
            context = client_context(identity, remote.ca_file)
            context.set_verify(SSL.VERIFY_PEER, verify)
            self._contexts[key] = context
        return TlsEngine(context, server=False, server_name=remote.server_name)

    # ---- sending ---------------------------------------------------------------------------------------------------

    def ready(self, remote: Remote) -> Flow | None:
        """Return a flow to a remote when that needs no waiting."""
        if remote.transport == "UDP":
            addresses = self.resolver.known(remote.host)
            udp = self._sockets.get(remote.listener)
            return (
                udp.flow_to(addresses[0], remote.port, remote.trunk)
                if addresses and udp is not None
                else None
            )
        return self.pool.ready(remote)

    async def connect(self, remote: Remote) -> Flow:
        """Return a flow to a remote, dialling if needed; raises TransportError."""
        if remote.transport == "UDP":
            addresses = await self.resolver.addresses(remote.host)
            if remote.listener not in self._sockets:
                raise ConnectFailedError(f"{remote.host}: listener {remote.listener} is not for UDP")
            return self._sockets[remote.listener].flow_to(addresses[0], remote.port, remote.trunk)
        return await self.pool.connect(remote)

    def new_flow(self, remote: Remote) -> StreamFlow:
        """Return an unconnected flow for the pool to dial with."""
        return StreamFlow(self, remote.listener, ours=True, buffer=self._buffer)

    def local_address(self, remote: Remote, family: int) -> Address | None:
        """Return the address to dial from: the listener's own, where it is a certain one of that family."""
        listener = self._listeners.get(remote.listener)
        if listener is None or listener.address in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
            return None
        mine = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
        return (listener.address, 0) if mine == family else None

    # ---- housekeeping ----------------------------------------------------------------------------------------------

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_S)
            now = self.now()
            for flow in tuple(self._flows):
                self._look_after(flow, now)

    def _look_after(self, flow: StreamFlow, now: float) -> None:
        limits = self._limits
        if not flow.ready:
            if now - flow.since > limits.handshake_timeout_s:
                flow.abort("the handshake took too long")
        elif flow.ours:
            self.pool.look_after(flow, now, limits.keepalive_s, limits.max_age_s)
        elif not flow.heard_message and now - flow.since > limits.first_message_timeout_s:
            self._call.rejected(flow.remote, "silent", "connected and said nothing")
            flow.close("connected and said nothing")
        elif now - max(flow.heard_at, flow.sent_at) > limits.idle_timeout_s:
            flow.close("idle")

    @property
    def connections(self) -> int:
        """Open TCP and TLS connections, ours and peers'."""
        return len(self._flows)
