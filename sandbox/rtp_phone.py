"""The media of a simulated phone: RTP or SRTP on one UDP port, 20 ms of µ-law at a time.

It plays a print, listens for prints of the other band, and may send back what it hears mixed with its own sound, so that
whoever called can prove both directions alone.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import struct

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from sandbox.tones import CALLEE_HZ, CALLER_HZ, FRAME_SAMPLES, Listener, Print, decode, encode, mix
from sbc.sip.sdp import SessionDescription
from sbc.sip.sdp_crypto import AES_CM_128_HMAC_SHA1_80, Crypto

_HEADER = struct.Struct("!BBHII")
_PTIME_S = 0.02


class RtpPhone(asyncio.DatagramProtocol):
    """One phone's media."""

    def __init__(self, address: str, own: Print, *, secure: bool, echo: bool) -> None:
        self._address = address
        self._own = own
        self._secure = secure
        self._echo = echo
        other = CALLER_HZ if own.band == CALLEE_HZ else CALLEE_HZ
        self.heard = Listener(other)
        """What the other side sounds like."""
        self.returned = Listener(own.band)
        """What comes back of our own sound."""
        self.sent = 0
        self.received = 0
        self.faults = 0
        self.last_payload = b""
        self._peer: tuple[str, int] | None = None
        self._key = os.urandom(30)
        self._tx: Session | None = None
        self._rx: Session | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._player: asyncio.Task[None] | None = None
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._session = secrets.randbits(31)
        self._version = 0
        self.muted = False

    async def open(self) -> None:
        """Bind a port."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(self._address, 0))

    @property
    def port(self) -> int:
        """The bound port."""
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def describe(self, direction: str = "sendrecv", *, origin: str | None = None) -> bytes:
        """Write our session description, as offer or answer. Teams writes a loopback address into ``o=``."""
        self._version += 1
        family = "IP6" if ":" in self._address else "IP4"
        lines = [
            "v=0",
            f"o=- {self._session} {self._version} IN {family} {origin or self._address}",
            "s=session",
            f"c=IN {family} {self._address}",
            "t=0 0",
            f"m=audio {self.port} {'RTP/SAVP' if self._secure else 'RTP/AVP'} 0 101",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-16",
            "a=ptime:20",
            "a=rtcp-mux",
            f"a={direction}",
        ]
        if self._secure:
            lines.append(f"a=crypto:{Crypto(1, AES_CM_128_HMAC_SHA1_80, self._key, 1 << 31)}")
        return ("\r\n".join(lines) + "\r\n").encode()

    def connect(self, sdp: bytes) -> None:
        """Take the other side's description: where to send, and its key."""
        session = SessionDescription.parse(sdp)
        audio = session.audio
        if audio is None:
            return
        self._peer = (session.address(audio) or self._address, audio.port)
        if self._secure:
            keys = [crypto for crypto in audio.cryptos if crypto.suite == AES_CM_128_HMAC_SHA1_80]
            if keys:
                self._tx = Session(Policy(key=self._key, ssrc_type=Policy.SSRC_ANY_OUTBOUND))
                self._rx = Session(Policy(key=keys[0].key_salt, ssrc_type=Policy.SSRC_ANY_INBOUND))
        held = session.direction(audio) in ("inactive", "sendonly")
        self.muted = held
        if self._player is None:
            self._player = asyncio.create_task(self._play(), name="phone audio")

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        frame = 0
        while True:
            due += _PTIME_S
            await asyncio.sleep(max(0.0, due - loop.time()))
            if self.muted or self._peer is None or self._transport is None:
                continue
            samples = self._own.samples(frame)
            if self._echo:
                samples = (
                    mix(samples, decode(self.last_payload))
                    if self.last_payload
                    else [s // 2 for s in samples]
                )
            frame += 1
            self._send(encode(samples))

    def _send(self, payload: bytes) -> None:
        assert self._transport is not None
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + FRAME_SAMPLES) & 0xFFFFFFFF
        packet = _HEADER.pack(0x80, 0, self._sequence, self._timestamp, self._ssrc) + payload
        if self._tx is not None:
            packet = self._tx.protect(packet)
        elif self._secure:
            return
        self._transport.sendto(packet, self._peer)
        self.sent += 1

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Take a packet: RTCP is passed over, audio is listened to."""
        if len(data) < 12 or 200 <= data[1] <= 206:
            return
        if self._rx is not None:
            try:
                data = self._rx.unprotect(data)
            except SrtpError:
                self.faults += 1
                return
        if data[1] & 0x7F != 0 or len(data) != 12 + FRAME_SAMPLES:
            return
        self.received += 1
        self.last_payload = data[12:]
        self.heard.hear(self.last_payload)
        self.returned.hear(self.last_payload)

    def error_received(self, exc: Exception) -> None:
        """Pass over ICMP errors: the far side may have closed first."""

    def close(self) -> None:
        """Stop and give the port back."""
        if self._player is not None:
            self._player.cancel()
        if self._transport is not None:
            self._transport.close()
