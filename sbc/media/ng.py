"""The NG protocol: which answer belongs to which command, when to repeat, and when to give up.

Pure: datagrams and `now` in, datagrams and replies out. Not here: the socket (`client`), what the commands mean.
A command goes out as `cookie SP bencoded-dictionary`; the reply carries the same cookie. A repeated command keeps
its cookie, and the engine answers it again from memory instead of carrying it out twice.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sbc.media.bencode import Value, decode_dict, encode
from sbc.media.errors import MediaProtocolError, MediaRefused, NoPortsLeft, UnknownCall, UnusableSdp

FIRST_REPEAT_S = 0.15
"""How long the first answer may take before the command is repeated; doubles each time. Seconds."""

_COOKIE_MAX = 64


@dataclass(slots=True)
class _Pending:
    datagram: bytes
    deadline: float
    repeat_at: float
    interval_s: float


class Correlator:
    """The client's side: commands in flight."""

    __slots__ = ("_cookie", "_pending", "_timeout_s")

    def __init__(self, cookie: Callable[[], str], timeout_s: float) -> None:
        self._cookie = cookie
        self._timeout_s = timeout_s
        self._pending: dict[str, _Pending] = {}

    def __len__(self) -> int:
        return len(self._pending)

    def command(self, command: str, arguments: Mapping[str, object], now: float) -> tuple[str, bytes]:
        """Begin a command; returns its cookie and the datagram to send."""
        cookie = self._cookie()
        datagram = cookie.encode() + b" " + encode({"command": command, **arguments})
        self._pending[cookie] = _Pending(
            datagram, now + self._timeout_s, now + FIRST_REPEAT_S, FIRST_REPEAT_S
        )
        return cookie, datagram

    def receive(self, datagram: bytes) -> tuple[str, dict[str, Value]] | None:
        """Take a datagram; returns the cookie and reply, or None for what nobody waits for (late, repeated).

        MediaProtocolError when it answers a command but cannot be read; the command is over then.
        """
        lead, _, body = datagram.partition(b" ")
        cookie = lead.decode("ascii", "replace")
        if self._pending.pop(cookie, None) is None:
            return None
        try:
            return cookie, decode_dict(body)
        except MediaProtocolError as error:
            return cookie, {"result": b"error", "error-reason": f"unreadable reply: {error}".encode()}

    def forget(self, cookie: str) -> None:
        """Nobody waits for that command any longer."""
        self._pending.pop(cookie, None)

    def next_timer(self) -> float | None:
        """Return when `handle_timers` has something to do; None when nothing is in flight."""
        return min((min(p.repeat_at, p.deadline) for p in self._pending.values()), default=None)

    def handle_timers(self, now: float) -> tuple[list[bytes], list[str]]:
        """Return the datagrams to repeat, and the cookies of the commands that got no answer in time."""
        repeats: list[bytes] = []
        expired: list[str] = []
        for cookie, pending in list(self._pending.items()):
            if now >= pending.deadline:
                del self._pending[cookie]
                expired.append(cookie)
            elif now >= pending.repeat_at:
                pending.interval_s *= 2
                pending.repeat_at = now + pending.interval_s
                repeats.append(pending.datagram)
        return repeats, expired


class ReplyMemory:
    """The engine's side: what was answered to which cookie, so that a repeated command is not carried out twice."""

    __slots__ = ("_keep_s", "_limit", "_replies")

    def __init__(self, keep_s: float = 30.0, limit: int = 20_000) -> None:
        self._keep_s = keep_s
        self._limit = limit
        self._replies: OrderedDict[tuple[object, bytes], tuple[float, bytes]] = OrderedDict()

    def recall(self, peer: object, cookie: bytes, now: float) -> bytes | None:
        """Return what was answered before to that peer's command; None for a new one."""
        found = self._replies.get((peer, cookie))
        return found[1] if found is not None and now < found[0] else None

    def remember(self, peer: object, cookie: bytes, reply: bytes, now: float) -> None:
        """Keep a reply for a while."""
        replies = self._replies
        replies[(peer, cookie)] = (now + self._keep_s, reply)
        while replies and (len(replies) > self._limit or next(iter(replies.values()))[0] <= now):
            replies.popitem(last=False)


def split(datagram: bytes) -> tuple[bytes, bytes]:
    """Split a command's datagram into cookie and body; MediaProtocolError when there is no cookie to answer with."""
    cookie, space, body = datagram.partition(b" ")
    if not space or not 0 < len(cookie) <= _COOKIE_MAX:
        raise MediaProtocolError("no cookie")
    return cookie, body


def refusal(reason: str) -> MediaRefused:
    """Turn an engine's `error-reason` into the error that says what a call can do about it.

    The words are the embedded relay's and rtpengine's.
    """
    words = reason.lower()
    if "unknown call" in words:
        return UnknownCall(reason)
    if "ports" in words and ("out of" in words or "no " in words or "ran out" in words):
        return NoPortsLeft(reason)
    if "sdp" in words or "crypto" in words or "address family" in words:
        return UnusableSdp(reason)
    return MediaRefused(reason)
