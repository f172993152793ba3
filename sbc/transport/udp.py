"""UDP: one socket, a flow for each peer.

Datagrams are read straight from the socket into one small buffer: asyncio's own datagram transport asks the kernel for
256 KiB each time, which costs more than everything else together.
"""

from __future__ import annotations

import asyncio
import socket
from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from sbc.sip.errors import ParseError
from sbc.sip.message import Request
from sbc.sip.parser import Limits as MessageLimits
from sbc.sip.parser import parse_message
from sbc.transport.flow import Address, plain_address

if TYPE_CHECKING:
    from sbc.sip.message import Response

_AT_ONCE = 64
_FLOWS_MAX = 20_000
_DATAGRAM_BYTES = 65_536
_SOCKET_BUFFER_BYTES = 4 << 20


class Owner(Protocol):
    """Who takes what arrives."""

    message_limits: MessageLimits

    def trunk_of(self, socket: UdpSocket, source: Address) -> str | None:
        """Return the trunk of a source address; ``None`` drops the datagram unread."""

    def message(self, message: Request | Response, flow: UdpFlow) -> None:
        """Take a message."""

    def malformed(self, error: ParseError, flow: UdpFlow) -> None:
        """Take a datagram that is no message."""


class UdpFlow:
    """A peer on a UDP socket."""

    __slots__ = ("_raw", "_socket", "closed", "heard_message", "local", "remote", "trunk")

    transport = "UDP"
    reliable = False
    ours = False

    def __init__(self, udp: UdpSocket, raw: tuple[object, ...], trunk: str | None) -> None:
        self._socket = udp
        self._raw = raw
        self.trunk = trunk
        self.local = udp.local
        self.remote = plain_address(raw)
        self.closed = False
        self.heard_message = False

    @property
    def listener(self) -> str:
        """The name of the listener whose socket it is."""
        return self._socket.name

    def send(self, data: bytes) -> None:
        """Send a datagram; one that the kernel does not take is lost, as datagrams are."""
        self._socket.send(data, self._raw)

    def close(self) -> None:
        """Do nothing: there is no connection."""


class UdpSocket:
    """A bound UDP socket."""

    def __init__(self, name: str, sock: socket.socket, owner: Owner) -> None:
        self.name = name
        self._socket = sock
        self._owner = owner
        self._buffer = bytearray(_DATAGRAM_BYTES)
        self._view = memoryview(self._buffer)
        self._flows: OrderedDict[tuple[object, ...], UdpFlow] = OrderedDict()
        self.local = plain_address(sock.getsockname())
        self.dropped = 0
        """Datagrams that the kernel did not take."""
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)

    def start(self) -> None:
        """Begin to read."""
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._readable)

    def stop(self) -> None:
        """Read no more, and close."""
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        for flow in self._flows.values():
            flow.closed = True

    def flow_to(self, host: str, port: int, trunk: str) -> UdpFlow:
        """Return the flow to a peer that we write to first."""
        if self._socket.family == socket.AF_INET6 and ":" not in host:
            host = f"::ffff:{host}"
        raw: tuple[object, ...] = (
            (host, port, 0, 0) if self._socket.family == socket.AF_INET6 else (host, port)
        )
        flow = self._flows.get(raw)
        if flow is None or flow.trunk != trunk:
            flow = self._remember(raw, trunk)
        return flow

    def send(self, data: bytes, raw: tuple[object, ...]) -> None:
        """Send one datagram."""
        try:
            self._socket.sendto(data, raw)
        except OSError:
            self.dropped += 1

    def _remember(self, raw: tuple[object, ...], trunk: str | None) -> UdpFlow:
        flow = self._flows[raw] = UdpFlow(self, raw, trunk)
        while len(self._flows) > _FLOWS_MAX:
            self._flows.popitem(last=False)
        return flow

    def _readable(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                size, raw = self._socket.recvfrom_into(self._buffer)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                continue  # an ICMP error of an earlier datagram (port unreachable)
            if size > 4 or self._buffer[:size].strip(b"\r\n\0"):
                self._datagram(bytes(self._view[:size]), raw)

    def _datagram(self, data: bytes, raw: tuple[object, ...]) -> None:
        flow = self._flows.get(raw)
        trunk = self._owner.trunk_of(self, plain_address(raw))
        if trunk is None:
            return
        if flow is None or flow.trunk != trunk:
            flow = self._remember(raw, trunk)
        try:
            message = parse_message(data, self._owner.message_limits)
        except ParseError as error:
            self._owner.malformed(error, flow)
            return
        if isinstance(message, Request):
            via = message.top_via
            if not via.has_rport and (port := via.port or 5060) != flow.remote[1]:
                # RFC 3261 §18.2.2: without rport the answer goes to the port that the sender names
                flow = self.flow_to(flow.remote[0], port, trunk)
            message.stamp_source(*flow.remote)
        self._owner.message(message, flow)
