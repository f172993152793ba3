"""One leg of a call: its sockets, its keys, and the way of each packet to the other leg.

This is the hot path. Each leg has a wildcard socket per port, and beside the RTP one a second socket on the same port
that is connected to where media comes from: the kernel then sorts the peer's packets from strangers', needs no route
for each packet sent, and Python makes no address objects. Strangers' packets arrive on the wildcard socket and are
judged by the latch. Not here: SDP and its consequences (`call`), when sockets are read (`loop`).
RFC 3550, RFC 3711, RFC 4961, RFC 5761.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from struct import Struct
from typing import Protocol

from sbc.media.relay.counters import Counters
from sbc.media.relay.crypto import CryptoLine
from sbc.media.relay.latch import Address, Latch
from sbc.media.relay.packet import MAX_PACKET, Packet
from sbc.media.relay.srtp import SrtpStream, Transform

_HEADER = Struct(">HII").unpack_from  # sequence, timestamp, SSRC, at octet 2
_MIN_RTP = 12
_MIN_RTCP = 8
_SOCKET_BUFFER = 1 << 20
_REMEMBERED_KEYS = 8


class Reader(Protocol):
    """What the loop offers: to call back when a socket has a packet."""

    def watch(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        """Call `callback` for each packet that waits in `sock`."""
        ...

    def unwatch(self, sock: socket.socket) -> None:
        """Stop doing so."""
        ...


class Leg:
    """One leg. `other` is set by the call once both exist."""

    __slots__ = (
        "_bind",
        "_clocks",
        "_inbound",
        "_known_keys",
        "_media_in",
        "_media_out",
        "_media_receive",
        "_media_send",
        "_outbound",
        "_packet",
        "_payload_types",
        "_protect",
        "_protect_rtcp",
        "_reader",
        "_rtcp_named",
        "_rtcp_socket",
        "_rtp_socket",
        "_unprotect",
        "_unprotect_rtcp",
        "counters",
        "latch",
        "mux",
        "other",
        "port",
        "rtcp_to",
        "secure",
    )

    def __init__(self, reader: Reader, packet: Packet, bind: str, port: int, relatch_after_s: float) -> None:
        self._reader = reader
        self._packet = packet
        self._bind = bind
        self.port = port
        self.other: Leg = self
        self.counters = Counters()
        self.latch = Latch(relatch_after_s)
        self.mux = False
        """Whether RTCP to this peer goes to its RTP port."""
        self.secure = False
        """Whether this leg speaks SRTP."""
        self.rtcp_to: Address | None = None
        self._rtcp_named: Address | None = None
        self._payload_types: frozenset[int] = frozenset()
        self._clocks: dict[int, float] = {}
        self._unprotect: Transform | None = None
        self._unprotect_rtcp: Transform | None = None
        self._protect: Transform | None = None
        self._protect_rtcp: Transform | None = None
        self._inbound: CryptoLine | None = None
        self._known_keys: dict[CryptoLine, SrtpStream] = {}
        self._outbound: tuple[tuple[str, bytes], SrtpStream] | None = None
        self._media_in: socket.socket | None = None
        self._media_receive: Callable[[memoryview], int] | None = None
        self._media_send: Callable[[memoryview], int] | None = None
        self._rtp_socket = _bound(bind, port, reuse_after=True)
        try:
            self._rtcp_socket = _bound(bind, port + 1, reuse_after=False)
        except OSError:
            self._rtp_socket.close()
            raise
        reader.watch(self._rtp_socket, self._on_stranger)
        reader.watch(self._rtcp_socket, self._on_rtcp)

    def close(self) -> None:
        """Give the sockets back."""
        for sock in (self._rtp_socket, self._rtcp_socket, self._media_in):
            if sock is not None:
                self._reader.unwatch(sock)
                sock.close()
        self._media_in = self._media_send = self._media_receive = None

    # ---- what SDP says --------------------------------------------------------------------------------------

    def describe(self, payload_types: frozenset[int], clocks: dict[int, int]) -> None:
        """Take payload types that the peer may send from now on, and their clock rates in Hz."""
        self._payload_types |= payload_types
        self._clocks |= {number: 1.0 / rate for number, rate in clocks.items()}

    def send_to(self, rtp: Address | None, rtcp: Address | None) -> None:
        """Take the addresses of the peer's SDP; None = it is held and names none."""
        if self.latch.name(rtp):
            self._connect()
        if rtcp is not None and rtcp != self._rtcp_named:
            self.rtcp_to = self._rtcp_named = rtcp

    def another_party(self) -> None:
        """Another fork answered: learn the source anew."""
        self.latch.restart()
        self._connect()

    def receive_key(self, line: CryptoLine | None) -> None:
        """Take the peer's key; None = plain RTP. A key seen before keeps its rollover counter."""
        self.secure = line is not None
        if line is None:
            self._unprotect = self._unprotect_rtcp = None
        elif line != self._inbound:
            stream = self._known_keys.get(line)
            if stream is None:
                stream = SrtpStream(line, self._packet, inbound=True)
                if len(self._known_keys) >= _REMEMBERED_KEYS:
                    del self._known_keys[next(iter(self._known_keys))]
                self._known_keys[line] = stream
            self._unprotect, self._unprotect_rtcp = stream.rtp, stream.rtcp
        self._inbound = line

    def send_key(self, line: CryptoLine | None) -> None:
        """Protect what goes to the peer with our key; None = plain RTP. The same key goes on where it was."""
        if line is None:
            self._protect = self._protect_rtcp = None
            return
        if self._outbound is None or self._outbound[0] != (line.suite, line.key):
            self._outbound = ((line.suite, line.key), SrtpStream(line, self._packet, inbound=False))
        stream = self._outbound[1]
        self._protect, self._protect_rtcp = stream.rtp, stream.rtcp

    @property
    def awaits_key(self) -> bool:
        """Whether packets cannot be read yet because the peer's key is not known."""
        return self.secure and self._unprotect is None

    # ---- packets --------------------------------------------------------------------------------------------

    def _on_media(self) -> None:
        """Relay one packet from the peer that this leg is latched to."""
        packet, receive = self._packet, self._media_receive
        if receive is None:
            return
        try:
            size = receive(packet.receive_view)
        except OSError:  # an ICMP answer to what was sent before
            return
        buffer = packet.buffer
        second = buffer[1]
        if size < _MIN_RTP or size > MAX_PACKET or buffer[0] & 0xC0 != 0x80:
            self.counters.errors += 1
            return
        if 192 <= second <= 223:
            self._relay_rtcp(size)
            return
        unprotect = self._unprotect
        arrived = size
        if unprotect is not None:
            size = unprotect(size)
            if size < 0:
                self.counters.errors += 1
                return
        elif self.secure:
            self.counters.errors += 1
            return
        now = packet.now
        self.latch.heard_at = now
        counters = self.counters
        counters.packets += 1
        counters.octets += arrived
        counters.last_at = now
        seq, timestamp, ssrc = _HEADER(buffer, 2)
        if seq == counters.next_seq & 0xFFFF and ssrc == counters.ssrc:
            counters.next_seq += 1
        else:
            counters.out_of_step(ssrc, seq)
        tick = self._clocks.get(second & 0x7F)
        if tick is not None:
            counters.payload_type = second & 0x7F
            counters.interval(timestamp * tick, now)
        self.other._send_media(size, counters)

    def _send_media(self, size: int, counters: Counters) -> None:
        """Send the packet in hand to this leg's peer. `counters` are those of its sender."""
        protect = self._protect
        if protect is not None:
            size = protect(size)
        send = self._media_send
        if size < 0 or send is None:
            counters.unsent += 1
            return
        view = self._packet.views[size]
        try:
            send(view)
        except ConnectionRefusedError:  # the ICMP answer to an earlier packet: this one is not sent yet
            try:
                send(view)
            except OSError:
                counters.unsent += 1
        except OSError:  # full buffer, no route
            counters.unsent += 1

    def _on_stranger(self) -> None:
        """Judge one packet that did not come from where this leg's media comes from."""
        packet = self._packet
        try:
            size, source = self._rtp_socket.recvfrom_into(packet.receive_view)
        except OSError:
            return
        address = (source[0], source[1])
        if not self.latch.admits(address, packet.now):
            self.counters.strays += 1
            return
        buffer = packet.buffer
        if size < _MIN_RTP or size > MAX_PACKET or buffer[0] & 0xC0 != 0x80 or self.awaits_key:
            self.counters.errors += 1
            return
        rtcp = 192 <= buffer[1] <= 223
        if not self.latch.expects(address) and (
            (rtcp and not self.secure) or (not rtcp and buffer[1] & 0x7F not in self._payload_types)
        ):
            self.counters.strays += 1
        elif rtcp:
            self._relay_rtcp(size)
        else:
            self._accept(size, address)

    def _accept(self, size: int, source: Address) -> None:
        """Relay the packet in hand and stay with its source, if it is authentic."""
        arrived = size
        if self._unprotect is not None:
            size = self._unprotect(size)
            if size < 0:
                self.counters.errors += 1
                return
        packet, counters = self._packet, self.counters
        counters.packets += 1
        counters.octets += arrived
        counters.last_at = packet.now
        seq, _, ssrc = _HEADER(packet.buffer, 2)
        if seq == counters.next_seq & 0xFFFF and ssrc == counters.ssrc:
            counters.next_seq += 1
        else:
            counters.out_of_step(ssrc, seq)
        if self.latch.move(source, packet.now) or self._media_in is None:
            self._connect()
        self.other._send_media(size, counters)

    def _on_rtcp(self) -> None:
        """Relay one packet from the RTCP port."""
        packet = self._packet
        try:
            size, source = self._rtcp_socket.recvfrom_into(packet.receive_view)
        except OSError:
            return
        if not _MIN_RTCP <= size <= MAX_PACKET or packet.buffer[0] & 0xC0 != 0x80 or self.awaits_key:
            self.counters.errors += 1
            return
        address = (source[0], source[1])
        current = self.latch.current
        known = address == self._rtcp_named or (current is not None and address[0] == current[0])
        if not known and (self._unprotect_rtcp is None or current is not None):
            self.counters.strays += 1
            return
        if self._relay_rtcp(size):
            self.rtcp_to = address

    def _relay_rtcp(self, size: int) -> bool:
        """Relay the RTCP packet in hand; returns whether it was authentic."""
        unprotect = self._unprotect_rtcp
        if unprotect is not None:
            size = unprotect(size)
        if size < 0 or self.awaits_key:
            self.counters.errors += 1
            return False
        self.counters.rtcp_packets += 1
        self.other._send_rtcp(size)
        return True

    def _send_rtcp(self, size: int) -> None:
        protect = self._protect_rtcp
        if protect is not None:
            size = protect(size)
        if size < 0:
            return
        view = self._packet.views[size]
        with contextlib.suppress(OSError):  # RTCP is lossy by design; the next report says the same
            if self.mux:
                if self._media_send is not None:
                    self._media_send(view)
            elif self.rtcp_to is not None:
                self._rtcp_socket.sendto(view, self.rtcp_to)

    def _connect(self) -> None:
        """Make the connected socket point at the latch's source."""
        target = self.latch.current
        if target is None or target[1] == 0:
            return
        try:
            if self._media_in is None:
                sock = _bound(self._bind, self.port, reuse_before=True)
                self._media_in = sock
                self._media_receive, self._media_send = sock.recv_into, sock.send
                sock.connect(target)
                self._reader.watch(sock, self._on_media)
            else:
                self._media_in.connect(target)
        except OSError:  # no route to what the peer named: media can only come, and be latched to
            self.counters.unsent += 1


def _bound(host: str, port: int, *, reuse_before: bool = False, reuse_after: bool = False) -> socket.socket:
    """Bind a UDP socket. `reuse_after` lets a second socket of ours join, while an already taken port still fails."""
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if sock.family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER)
        if reuse_before:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        if reuse_after:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    except OSError:
        sock.close()
        raise
    return sock
