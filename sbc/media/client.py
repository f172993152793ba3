"""The NG client: a media engine over UDP, the embedded relay or rtpengine.

Not here: starting the relay (`supervisor`), correlation and repetition (`ng`), the meaning of profiles (`profiles`).
"""

from __future__ import annotations

import asyncio
import functools
import secrets
import time
from collections.abc import Callable
from typing import cast

from sbc.media.bencode import Encoded, Value, encode
from sbc.media.engine import CallStats, MediaProfile
from sbc.media.errors import MediaEngineDown, MediaProtocolError, MediaTimeout
from sbc.media.ng import Correlator, refusal
from sbc.media.profiles import ng_flags
from sbc.media.stats import call_stats


class NgClient(asyncio.DatagramProtocol):
    """One engine. `connect` before use, `close` at the end; a MediaEngine in between."""

    def __init__(self, *, timeout_s: float = 2.0, cookie: Callable[[], str] | None = None) -> None:
        prefix, count = secrets.token_hex(4), iter(range(1 << 62))
        self._correlator = Correlator(cookie or (lambda: f"{prefix}_{next(count)}"), timeout_s)
        self._waiting: dict[str, asyncio.Future[dict[str, Value]]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._unreachable = False
        self._calls: set[str] = set()
        self.address: tuple[str, int] | None = None
        """Where the engine listens."""

    async def connect(self, host: str, port: int) -> None:
        """Speak to the engine at that address from now on. OSError when there is no such address."""
        self._drop_transport()
        self._loop = asyncio.get_running_loop()
        self._unreachable = False
        transport, _ = await self._loop.create_datagram_endpoint(lambda: self, remote_addr=(host, port))
        self._transport = transport
        self.address = (host, port)

    def close(self) -> None:
        """Give the socket back; commands in flight fail with MediaEngineDown."""
        self.engine_lost("media engine client closed")

    def engine_lost(self, reason: str) -> list[str]:
        """Fail what is in flight with MediaEngineDown; returns the calls that the engine carried."""
        self._drop_transport()
        for cookie, future in list(self._waiting.items()):
            self._correlator.forget(cookie)
            if not future.done():
                future.set_exception(MediaEngineDown(reason))
        self._waiting.clear()
        lost, self._calls = sorted(self._calls), set()
        return lost

    def carries(self, call_id: str) -> bool:
        """Say whether the engine carries that call for us."""
        return call_id in self._calls

    @property
    def calls(self) -> frozenset[str]:
        """The calls that the engine carries for us."""
        return frozenset(self._calls)

    # ---- the engine -----------------------------------------------------------------------------------------

    async def ping(self) -> None:
        """Ask whether the engine is there."""
        await self._command("ping", {})

    async def offer(
        self,
        call_id: str,
        from_tag: str,
        sdp: bytes,
        *,
        towards: MediaProfile,
        received_on: MediaProfile,
        to_tag: str | None = None,
    ) -> bytes:
        """See MediaEngine."""
        arguments: dict[str, object] = {"call-id": call_id, "from-tag": from_tag}
        # rtpengine takes a To tag only once it knows it: the first offer has none (RFC 3261 §12.1.1).
        if to_tag is not None and call_id in self._calls:
            arguments["to-tag"] = to_tag
        arguments.update(_flags(towards, received_on, offer=True), sdp=sdp)
        try:
            reply = await self._command("offer", arguments)
        except MediaTimeout:
            self._abandon(call_id, from_tag)
            raise
        self._calls.add(call_id)
        return _sdp(reply)

    async def answer(
        self,
        call_id: str,
        from_tag: str,
        to_tag: str,
        sdp: bytes,
        *,
        towards: MediaProfile,
        received_on: MediaProfile,
    ) -> bytes:
        """See MediaEngine."""
        arguments: dict[str, object] = {"call-id": call_id, "from-tag": from_tag, "to-tag": to_tag}
        arguments.update(_flags(towards, received_on, offer=False), sdp=sdp)
        return _sdp(await self._command("answer", arguments))

    async def delete(self, call_id: str, from_tag: str) -> CallStats:
        """See MediaEngine."""
        self._calls.discard(call_id)
        # "delete-delay" 0: rtpengine would keep the ports for another 30 s.
        arguments = {"call-id": call_id, "from-tag": from_tag, "delete-delay": 0}
        return call_stats(await self._command("delete", arguments), time.time())

    async def query(self, call_id: str) -> CallStats:
        """See MediaEngine."""
        return call_stats(await self._command("query", {"call-id": call_id}), time.time())

    def _abandon(self, call_id: str, from_tag: str) -> None:
        """Have the engine forget a call whose offer it may have taken without our hearing so."""
        if self._transport is None or self._loop is None or call_id in self._calls:
            return
        arguments = {"call-id": call_id, "from-tag": from_tag, "delete-delay": 0}
        _, datagram = self._correlator.command("delete", arguments, self._loop.time())
        self._transport.sendto(datagram)
        self._arm()

    async def _command(self, command: str, arguments: dict[str, object]) -> dict[str, Value]:
        if self._transport is None or self._loop is None:
            raise MediaEngineDown("no media engine is connected")
        cookie, datagram = self._correlator.command(command, arguments, self._loop.time())
        future: asyncio.Future[dict[str, Value]] = self._loop.create_future()
        self._waiting[cookie] = future
        self._transport.sendto(datagram)
        self._arm()
        try:
            reply = await future
        finally:
            self._waiting.pop(cookie, None)
            self._correlator.forget(cookie)
        result = reply.get("result")
        if result in (b"ok", b"pong"):
            return reply
        if result != b"error":
            raise MediaProtocolError(f"{command}: the reply has no result")
        reason = reply.get("error-reason")
        raise refusal(reason.decode("utf-8", "replace") if isinstance(reason, bytes) else "no reason given")

    # ---- the socket and the timer ---------------------------------------------------------------------------

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Hand a reply to whoever waits for it."""
        self._unreachable = False
        received = self._correlator.receive(data)
        if received is None:
            return
        future = self._waiting.get(received[0])
        if future is not None and not future.done():
            future.set_result(received[1])

    def error_received(self, exc: Exception) -> None:
        """Remember that nobody listens there: an ICMP answer. What is in flight is still repeated: it may restart."""
        self._unreachable = True

    def _arm(self) -> None:
        due = self._correlator.next_timer()
        if self._loop is None or due is None:
            return
        if self._timer is None or due < self._timer.when() - 1e-4:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._loop is None:
            return
        repeats, expired = self._correlator.handle_timers(self._loop.time())
        for datagram in repeats:
            if self._transport is not None:
                self._transport.sendto(datagram)
        for cookie in expired:
            future = self._waiting.get(cookie)
            if future is not None and not future.done():
                future.set_exception(
                    MediaEngineDown(f"nothing listens at {self.address}")
                    if self._unreachable
                    else MediaTimeout(f"no answer from the media engine at {self.address}")
                )
        self._arm()

    def _drop_transport(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._transport is not None:
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the socket."""
        self._transport = cast("asyncio.DatagramTransport", transport)


def _sdp(reply: dict[str, Value]) -> bytes:
    sdp = reply.get("sdp")
    if not isinstance(sdp, bytes):
        raise MediaProtocolError("the reply has no SDP")
    return sdp


@functools.lru_cache(maxsize=256)
def _flags(towards: MediaProfile, received_on: MediaProfile, *, offer: bool) -> dict[str, object]:
    """Return the flags with their values encoded once: trunks are few, calls are many."""
    flags = ng_flags(towards, received_on, offer=offer)
    return {name: Encoded(encode(value)) for name, value in flags.items()}
