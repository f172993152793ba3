"""One TCP or TLS connection under asyncio: bytes to messages and back, with its limits.

A `BufferedProtocol`: the loop reads straight into one buffer that is used again and again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, cast

from sbc.sip.errors import ParseError
from sbc.sip.message import Request
from sbc.sip.parser import Limits as MessageLimits
from sbc.sip.parser import parse_message
from sbc.sip.stream import KeepAlive, StreamFramer
from sbc.transport.flow import Address, plain_address
from sbc.transport.tls import TlsEngine, TlsError

if TYPE_CHECKING:
    from sbc.sip.message import Response

BUFFER_BYTES = 65_536


class Owner(Protocol):
    """Who is told what happens on a connection."""

    message_limits: MessageLimits
    write_buffer_bytes: int

    def now(self) -> float:
        """Return monotonic seconds."""

    def connected(self, flow: StreamFlow) -> bool:
        """Take a new TCP connection; False closes it. May set ``flow.engine``."""

    def established(self, flow: StreamFlow) -> bool:
        """Take a connection whose handshake is over; False closes it."""

    def message(self, message: Request | Response, flow: StreamFlow) -> None:
        """Take a message."""

    def malformed(self, error: ParseError, flow: StreamFlow) -> None:
        """Take a message that is none; the connection is closed afterwards when it cannot be framed any more."""

    def lost(self, flow: StreamFlow, reason: str) -> None:
        """Take the end of a connection."""


class StreamFlow(asyncio.BufferedProtocol):
    """A connection."""

    reliable = True

    def __init__(self, owner: Owner, listener: str, *, ours: bool, buffer: bytearray) -> None:
        self._owner = owner
        self._buffer = buffer
        """Shared by all connections: what is read is worked off before the loop reads again."""
        self._view = memoryview(buffer)
        self._framer = StreamFramer(owner.message_limits, sent_pings=ours)
        self._transport: asyncio.Transport | None = None
        self.engine: TlsEngine | None = None
        self.listener = listener
        self.ours = ours
        """True when we opened the connection."""
        self.trunk: str | None = None
        self.transport = "TCP"
        self.local: Address = ("", 0)
        self.remote: Address = ("", 0)
        self.closed = False
        self.ready = False
        """True once the handshake is over and the trunk is known."""
        self.since = owner.now()
        self.heard_at = self.since
        self.sent_at = self.since
        self.heard_message = False
        self.stale = False
        """No new requests: the connection is to be replaced."""
        self._why = ""

    # ---- asyncio ---------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the TCP connection."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        transport = self._transport
        self.local = plain_address(transport.get_extra_info("sockname") or ("", 0))
        self.remote = plain_address(transport.get_extra_info("peername") or ("", 0))
        transport.set_write_buffer_limits(high=self._owner.write_buffer_bytes)
        if not self._owner.connected(self):
            self.abort(self._why or "refused")
            return
        if self.engine is None:
            self._established()
        else:
            self.transport = "TLS"
            try:
                self._write(self.engine.start())
            except TlsError as error:
                self.fail(str(error))

    def get_buffer(self, sizehint: int) -> bytearray:
        """Give the buffer to read into."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        if self.closed:
            return
        data = bytes(self._view[:nbytes])
        self.heard_at = self._owner.now()
        engine = self.engine
        if engine is not None:
            try:
                data = engine.receive(data)
            except TlsError as error:
                self._write(engine.outgoing())
                self.fail(str(error))
                return
            if not self.ready:
                self._write(engine.outgoing())
                if engine.established:
                    self._established()
        if data and self.ready and not self.closed:
            self._feed(data)

    def eof_received(self) -> bool:
        """Take the peer's end of the stream: the connection is closed on both sides."""
        self._why = self._why or "closed by the peer"
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take the end."""
        self.closed = True
        self._owner.lost(self, self._why or (str(exc) if exc else "closed by the peer"))

    def pause_writing(self) -> None:
        """Drop a peer that does not read: what it asked for would pile up for ever."""
        self.abort("the peer does not read what it is sent")

    def resume_writing(self) -> None:
        """Nothing waits for it."""

    # ---- messages --------------------------------------------------------------------------------------------------

    def _established(self) -> None:
        self.ready = True
        if not self._owner.established(self):
            self.ready = False
            self.close()

    def _feed(self, data: bytes) -> None:
        framer = self._framer
        framer.feed(data)
        while not self.closed:
            try:
                frame = framer.next()
            except ParseError as error:
                self._owner.malformed(error, self)
                self.fail(f"stream cannot be framed: {error.reason}")
                return
            if frame is None:
                return
            if frame is KeepAlive.PING:
                self.send(b"\r\n")
            elif isinstance(frame, bytes):
                self.heard_message = True
                try:
                    message = parse_message(frame, self._owner.message_limits)
                except ParseError as error:
                    self._owner.malformed(error, self)
                    continue
                if isinstance(message, Request):
                    message.stamp_source(*self.remote)  # RFC 3261 §18.2.1, on every transport
                self._owner.message(message, self)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        if self.closed or not self.ready:
            return
        self.sent_at = self._owner.now()
        if self.engine is not None:
            try:
                data = self.engine.send(data)
            except TlsError as error:
                self.fail(str(error))
                return
        self._write(data)

    def _write(self, data: bytes) -> None:
        if data and self._transport is not None:
            self._transport.write(data)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def close(self, reason: str = "closed by us") -> None:
        """Close after what is already written."""
        if self.closed:
            return
        self._why = self._why or reason
        if self.engine is not None and self.ready:
            self._write(self.engine.close())
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def fail(self, reason: str) -> None:
        """Close because of a fault, after what is already written (an alert, a refusal)."""
        self._why = self._why or reason
        self.closed = True
        if self._transport is not None:
            self._transport.close()

    def abort(self, reason: str) -> None:
        """Close at once."""
        self._why = self._why or reason
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def refuse(self, reason: str) -> bool:
        """Note why the owner does not want the connection; returns False, for its answer."""
        self._why = self._why or reason
        return False


Factory = Callable[[], StreamFlow]
