"""Connections that we open: one for each (trunk, host, port), replaced before they grow old.

Trunks never share a connection, so neither do the identities of two tenants: what was proved in a handshake holds for
everything on the connection. Callers that want the same connection wait for the same dialling.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from certs import covers
from sbc.transport.errors import ConnectFailedError, TlsFailedError, TransportError
from sbc.transport.flow import Address
from sbc.transport.stream import StreamFlow

if TYPE_CHECKING:
    from sbc.transport.transport import SipTransport

QUIET_S = 64.0
"""A replaced connection is closed after this much silence: no transaction lives longer."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Where to connect to, as whom, and whom to expect there."""

    trunk: str
    host: str
    port: int
    transport: str
    """``UDP``, ``TCP`` or ``TLS``."""
    listener: str
    """The listener that stands for us: datagrams leave from its socket, connections from its address."""
    certificate: str | None = None
    """The identity to present."""
    ca_file: Path | None = None
    accepted_names: tuple[str, ...] = ()
    """Names of which the server's certificate may carry one instead of ``host``."""

    @property
    def server_name(self) -> str | None:
        """The name to send as SNI; addresses are not sent (RFC 6066 §3)."""
        if _is_ip(self.host):
            return self.accepted_names[0] if self.accepted_names else None
        return self.host


class Pool:
    """All connections of ours."""

    def __init__(self, transport: SipTransport, connect_timeout_s: float, handshake_timeout_s: float) -> None:
        self._transport = transport
        self._connect_timeout_s = connect_timeout_s
        self._handshake_timeout_s = handshake_timeout_s
        self._open: dict[Remote, StreamFlow] = {}
        self._dialling: dict[Remote, asyncio.Task[StreamFlow]] = {}
        self._remotes: dict[StreamFlow, Remote] = {}
        self._waiting: dict[StreamFlow, asyncio.Future[None]] = {}

    def ready(self, remote: Remote) -> StreamFlow | None:
        """Return an open connection, or ``None``."""
        flow = self._open.get(remote)
        return flow if flow is not None and not flow.closed and not flow.stale else None

    async def connect(self, remote: Remote) -> StreamFlow:
        """Return a connection, dialling if needed; raises TransportError."""
        flow = self.ready(remote)
        if flow is not None:
            return flow
        task = self._dialling.get(remote)
        if task is None:
            task = asyncio.ensure_future(self._dial(remote))
            self._dialling[remote] = task
            task.add_done_callback(lambda done: self._dialled(remote, done))
        return await asyncio.shield(task)

    def _dialled(self, remote: Remote, task: asyncio.Task[StreamFlow]) -> None:
        self._dialling.pop(remote, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody waiting is no fault

    async def _dial(self, remote: Remote) -> StreamFlow:
        addresses = await self._transport.resolver.addresses(remote.host)
        fault: TransportError = ConnectFailedError(f"{remote.host}: no address")
        for address in addresses:
            try:
                flow = await self._dial_address(remote, address)
            except TransportError as error:
                fault = error
                continue
            self._open[remote] = flow
            return flow
        raise fault

    async def _dial_address(self, remote: Remote, address: str) -> StreamFlow:
        loop = asyncio.get_running_loop()
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        flow = self._transport.new_flow(remote)
        flow.trunk = remote.trunk
        if remote.transport == "TLS":
            flow.engine = self._transport.client_engine(remote)
        self._remotes[flow] = remote
        waiting = self._waiting[flow] = loop.create_future()
        where = f"{remote.host} ({address}) port {remote.port}"
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                await loop.create_connection(
                    lambda: flow,
                    address,
                    remote.port,
                    local_addr=self._transport.local_address(remote, family),
                )
            async with asyncio.timeout(self._handshake_timeout_s):
                await waiting
        except TimeoutError:
            flow.abort("took too long")
            raise ConnectFailedError(f"{where}: no answer") from None
        except OSError as error:
            raise ConnectFailedError(f"{where}: {error.strerror or error}") from None
        finally:
            self._waiting.pop(flow, None)
            if not flow.ready:
                self._remotes.pop(flow, None)
        return flow

    # ---- what the transport reports --------------------------------------------------------------------------------

    def established(self, flow: StreamFlow) -> bool:
        """Check whom we reached, by the name in its certificate."""
        remote, waiting = self._remotes[flow], self._waiting.get(flow)
        if flow.engine is not None:
            facts = flow.engine.facts
            names = facts.names if facts is not None else ()
            if not covers(names, (remote.host, *remote.accepted_names)):
                shown = ", ".join(names[:5]) or "nobody"
                fault = f"{remote.host}: the certificate is for {shown}"
                if waiting is not None and not waiting.done():
                    waiting.set_exception(TlsFailedError(fault))
                return flow.refuse(fault)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)
        return True

    def lost(self, flow: StreamFlow, reason: str) -> None:
        """Forget a connection."""
        remote = self._remotes.pop(flow, None)
        waiting = self._waiting.get(flow)
        if waiting is not None and not waiting.done():
            waiting.set_exception(TlsFailedError(f"{remote.host if remote else ''}: {reason}"))
        if remote is not None and self._open.get(remote) is flow:
            del self._open[remote]

    def look_after(self, flow: StreamFlow, now: float, keepalive_s: float, max_age_s: float) -> None:
        """Ping a quiet connection, replace an old one."""
        quiet = now - max(flow.heard_at, flow.sent_at)
        if not flow.stale and now - flow.since > max_age_s:
            flow.stale = True
        if flow.stale and quiet > QUIET_S:
            flow.close("replaced")
        elif now - flow.sent_at > keepalive_s:
            flow.send(b"\r\n\r\n")  # RFC 5626 §3.5.1

    def make_stale(self, certificate: str | None) -> None:
        """Let the connections of an identity (of all, without one) be replaced."""
        for flow, remote in self._remotes.items():
            if certificate is None or remote.certificate == certificate:
                flow.stale = True

    def stop(self) -> None:
        """Dial no more."""
        for task in self._dialling.values():
            task.cancel()


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


__all__ = ["Address", "Pool", "Remote"]
