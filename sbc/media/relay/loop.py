"""The relay's loop: one thread, one epoll, the NG socket and every media socket.

Level-triggered and one packet a socket a turn: a flood on one port delays the others by one packet each turn, and no
read has to fail to show that a socket is empty. Waking up costs more than relaying a packet; so under load, when
packets would wake the loop more often than each `_GATHER_S`, it rests for that long and takes them together. With few
calls it never does. Not here: what packets and commands mean.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
import traceback
from collections.abc import Callable

from sbc.media.bencode import decode_dict, encode
from sbc.media.errors import MediaProtocolError
from sbc.media.ng import ReplyMemory, split
from sbc.media.relay.commands import Commands
from sbc.media.relay.packet import Packet

_HOUSEKEEPING_S = 1.0
_BATCH = 512
_GATHER_S = 0.0005
_NG_MAX = 65535


class Loop:
    """Waits for packets and calls who watches their sockets."""

    def __init__(self, packet: Packet, clock: Callable[[], float] = time.monotonic) -> None:
        self._packet = packet
        self._clock = clock
        self._epoll = select.epoll()
        self._callbacks: dict[int, Callable[[], None]] = {}
        self._running = True

    def watch(self, sock: socket.socket, callback: Callable[[], None]) -> None:
        """Call `callback` for each packet that waits in `sock`."""
        self.watch_fd(sock.fileno(), callback)

    def watch_fd(self, fd: int, callback: Callable[[], None]) -> None:
        """Call `callback` whenever there is something to read."""
        self._callbacks[fd] = callback
        self._epoll.register(fd, select.EPOLLIN)

    def unwatch(self, sock: socket.socket) -> None:
        """Stop calling for that socket. A socket that was never watched, or is closed, is let pass."""
        if self._callbacks.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def stop(self) -> None:
        """Make `run` return."""
        self._running = False

    def run(self, housekeeping: Callable[[float], None]) -> None:
        """Serve until `stop`. `housekeeping(now)` is called about once a second."""
        packet, clock, callbacks, poll = self._packet, self._clock, self._callbacks, self._epoll.poll
        now, gather = clock(), False
        due = now + _HOUSEKEEPING_S
        while self._running:
            if gather:
                time.sleep(_GATHER_S)
            ready = poll(_HOUSEKEEPING_S, _BATCH)
            before, now = now, clock()
            gather = len(ready) > 1 or now - before < _GATHER_S
            packet.now = now
            for fd, _ in ready:
                callback = callbacks.get(fd)  # an earlier packet of this turn may have ended the call
                if callback is not None:
                    try:
                        callback()
                    except Exception:  # noqa: BLE001 - a bug costs one packet, never every call's media
                        traceback.print_exc(file=sys.stderr)
            if now >= due:
                due = now + _HOUSEKEEPING_S
                housekeeping(now)

    def close(self) -> None:
        """Give the epoll back."""
        self._epoll.close()


class NgServer:
    """The NG socket: commands in, replies out, repeated ones answered from memory."""

    def __init__(self, sock: socket.socket, commands: Commands, packet: Packet) -> None:
        self._sock = sock
        self._commands = commands
        self._packet = packet
        self._memory = ReplyMemory()
        self.unreadable = 0
        """Datagrams that could not even be answered."""

    def on_readable(self) -> None:
        """Carry out one command."""
        try:
            datagram, peer = self._sock.recvfrom(_NG_MAX)
        except OSError:
            return
        now = self._packet.now
        try:
            cookie, body = split(datagram)
        except MediaProtocolError:
            self.unreadable += 1
            return
        reply = self._memory.recall(peer, cookie, now)
        if reply is None:
            reply = cookie + b" " + self._execute(body, now)
            self._memory.remember(peer, cookie, reply, now)
        with contextlib.suppress(OSError):  # the client is gone, or will repeat the command
            self._sock.sendto(reply, peer)

    def _execute(self, body: bytes, now: float) -> bytes:
        try:
            return encode(self._commands.execute(decode_dict(body), now))
        except MediaProtocolError as error:
            return encode({"result": "error", "error-reason": error.reason})
        except Exception as error:  # noqa: BLE001 - a bug costs one command, never every call's media
            traceback.print_exc(file=sys.stderr)
            return encode({"result": "error", "error-reason": f"internal fault: {type(error).__name__}"})
