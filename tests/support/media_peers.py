"""What the media tests share: phones that speak RTP or SRTP, their SDP, and a relay driven by hand in virtual time."""

from __future__ import annotations

import base64
import random
import re
import select
import socket
import struct
from collections.abc import Callable

import pylibsrtp

from sbc.media.relay.call import Interface
from sbc.media.relay.commands import Commands, RelaySettings
from sbc.media.relay.packet import Packet
from sbc.media.relay.ports import PortPool

LIMIT_S = 2.0


def rtp_packet(
    seq: int, timestamp: int = 0, ssrc: int = 0x1234, payload: bytes = b"\x55" * 160, kind: int = 8
) -> bytes:
    """Return an RTP packet."""
    return struct.pack(">BBHII", 0x80, kind, seq & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc) + payload


def rtcp_packet(ssrc: int = 0x1234) -> bytes:
    """Return a sender report without report blocks."""
    return struct.pack(">BBHIIIIII", 0x80, 200, 6, ssrc, 1, 2, 3, 4, 5)


def media_port(sdp: bytes, line: int = 0) -> int:
    """Return the port of an m= line."""
    return int(re.findall(rb"m=\S+ (\d+)", sdp)[line])


def rtcp_port(sdp: bytes) -> int:
    """Return the port of a=rtcp."""
    found = re.search(rb"a=rtcp:(\d+)", sdp)
    assert found is not None
    return int(found[1])


def keys(sdp: bytes) -> list[bytes]:
    """Return the SDES keys of an SDP."""
    return [base64.b64decode(key) for key in re.findall(rb"inline:([A-Za-z0-9+/=]+)", sdp)]


class Phone:
    """A party with an RTP and an RTCP socket, and with a key when it speaks SRTP."""

    def __init__(self, *, key: bytes | None = None, host: str = "127.0.0.1", origin: int = 1) -> None:
        self.key = key
        self.host = host
        self.origin = origin
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.rtp = socket.socket(family, socket.SOCK_DGRAM)
        self.rtp.bind((host, 0))
        self.rtcp = socket.socket(family, socket.SOCK_DGRAM)
        self.rtcp.bind((host, 0))
        for sock in (self.rtp, self.rtcp):
            sock.settimeout(LIMIT_S)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        self.target = 0
        self.rtcp_target = 0
        self._out: pylibsrtp.Session | None = None
        self._in: pylibsrtp.Session | None = None
        if key is not None:
            self.new_key(key)

    def new_key(self, key: bytes) -> None:
        """Send with another key from now on."""
        self.key = key
        self._out = pylibsrtp.Session(pylibsrtp.Policy(key=key, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND))

    def sdp(self, *attributes: str, crypto: str | None = None, protocol: str | None = None) -> bytes:
        """Return our SDP."""
        family = "IP6" if ":" in self.host else "IP4"
        protocol = protocol or ("RTP/AVP" if self.key is None else "RTP/SAVP")
        lines = [
            "v=0",
            f"o=phone {self.origin} 1 IN {family} {self.host}",
            "s=call",
            f"c=IN {family} {self.host}",
            "t=0 0",
            f"m=audio {self.rtp.getsockname()[1]} {protocol} 8 101",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:101 telephone-event/8000",
            f"a=rtcp:{self.rtcp.getsockname()[1]}",
            *(f"a={attribute}" for attribute in attributes),
        ]
        if crypto is not None:
            lines.append(f"a=crypto:{crypto}")
        elif self.key is not None:
            lines.append(
                f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(self.key).decode()}|2^31"
            )
        return "".join(f"{line}\r\n" for line in lines).encode()

    def takes(self, sdp: bytes) -> None:
        """Take what the engine says to us."""
        self.target, self.rtcp_target = media_port(sdp), rtcp_port(sdp)
        if self.key is not None and self._in is None:
            self._in = pylibsrtp.Session(
                pylibsrtp.Policy(key=keys(sdp)[0], ssrc_type=pylibsrtp.Policy.SSRC_ANY_INBOUND)
            )

    def protect(self, packet: bytes) -> bytes:
        """Return what goes on the wire."""
        return packet if self._out is None else self._out.protect(packet)

    def send(self, packet: bytes) -> None:
        """Send an RTP packet."""
        self.rtp.sendto(self.protect(packet), (self.host, self.target))

    def receive(self) -> bytes:
        """Return the next RTP packet, unprotected."""
        data = self.rtp.recv(2048)
        return data if self._in is None else self._in.unprotect(data)

    def send_rtcp(self, packet: bytes, *, muxed: bool) -> None:
        """Send an RTCP packet, on the RTP port or on its own."""
        data = packet if self._out is None else self._out.protect_rtcp(packet)
        if muxed:
            self.rtp.sendto(data, (self.host, self.target))
        else:
            self.rtcp.sendto(data, (self.host, self.rtcp_target))

    def receive_rtcp(self, *, muxed: bool) -> bytes:
        """Return the next RTCP packet, unprotected."""
        data = (self.rtp if muxed else self.rtcp).recv(2048)
        return data if self._in is None else self._in.unprotect_rtcp(data)

    def waiting(self) -> bool:
        """Say whether an RTP packet waits."""
        return bool(select.select([self.rtp], [], [], 0)[0])

    def close(self) -> None:
        """Give the sockets back."""
        self.rtp.close()
        self.rtcp.close()


class HandRelay:
    """The relay's commands and sockets, without its process: time stands still unless a test moves it."""

    def __init__(
        self, *, first: int = 20000, last: int = 20099, idle_s: float = 3600.0, bind: str = "127.0.0.1"
    ) -> None:
        self.packet = Packet()
        self.now = 1000.0
        self._callbacks: dict[int, Callable[[], None]] = {}
        pool = PortPool(first, last, 5.0, random.Random(7).shuffle)
        self.pool = pool
        interfaces = (Interface("default", bind, "2001:db8::7" if ":" in bind else "192.0.2.7"),)
        self.commands = Commands(
            RelaySettings(interfaces, session_idle_s=idle_s), {bind: pool}, self, self.packet
        )

    def watch(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        """See `Reader`."""
        self._callbacks[sock.fileno()] = callback

    def unwatch(self, sock: socket.socket) -> None:
        """See `Reader`."""
        self._callbacks.pop(sock.fileno(), None)

    def command(self, command: str, **arguments: object) -> dict[str, object]:
        """Carry out a command; underscores stand for dashes."""
        octets: dict[str, object] = {"command": command.encode()}
        for name, value in arguments.items():
            octets[name.replace("_", "-")] = _octets(value)
        return self.commands.execute(octets, self.now)  # type: ignore[arg-type] - decoded shapes, made by hand

    def pump(self, packets: int = 1) -> None:
        """Relay so many packets; fails when they do not come."""
        self.packet.now = self.now
        while packets > 0:
            ready = select.select(list(self._callbacks), [], [], LIMIT_S)[0]
            assert ready, "no packet came"
            for fd in ready:
                if fd in self._callbacks:
                    self._callbacks[fd]()
                    packets -= 1

    def close(self) -> None:
        """Give everything back."""
        self.commands.close(self.now)
        assert not self._callbacks
        assert self.pool.in_use == 0


def _octets(value: object) -> object:
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [_octets(item) for item in value]
    return value
