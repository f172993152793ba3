"""The relay's NG commands: which call each one means, and its reply.

Not here: sockets of the NG protocol and timers (`loop`). Errors become `result: error`; nothing that a client sends
ends the relay.
"""

from __future__ import annotations

import os
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sbc.media.bencode import Value
from sbc.media.errors import MediaError, MediaProtocolError, NoPortsLeft, UnknownCall
from sbc.media.relay.call import Call, Interface, Party, Wanted
from sbc.media.relay.crypto import AES_80, KEY_OCTETS, CryptoLine
from sbc.media.relay.leg import Leg, Reader
from sbc.media.relay.packet import Packet
from sbc.media.relay.ports import PortPool

_BIND_ATTEMPTS = 20  # pairs that turn out to be another program's, before a call is refused
_EXPIRED_KEPT = 1000


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """How the relay behaves. Seconds."""

    interfaces: tuple[Interface, ...]
    session_idle_s: float = 3600.0
    """A call without a packet or command for so long is dropped."""
    relatch_after_s: float = 5.0
    """How long a latched peer must be silent before another source may take its place."""


class Commands:
    """The calls of the relay, and what can be asked of them."""

    def __init__(
        self, settings: RelaySettings, pools: Mapping[str, PortPool], reader: Reader, packet: Packet
    ) -> None:
        self._settings = settings
        self._interfaces = {item.name: item for item in reversed(settings.interfaces)}
        self._default = settings.interfaces[0]
        self._pools = pools
        self._reader = reader
        self._packet = packet
        self._calls: dict[str, Call] = {}
        self._expired: OrderedDict[str, list[dict[str, object]]] = OrderedDict()
        self._table: dict[bytes, Callable[[dict[str, Value], float], dict[str, object]]] = {
            b"ping": lambda _command, _now: {"result": "pong"},
            b"offer": self._offer,
            b"answer": self._answer,
            b"delete": self._delete,
            b"query": self._query,
            b"list": self._list,
            b"statistics": self._statistics,
        }

    def execute(self, command: dict[str, Value], now: float) -> dict[str, object]:
        """Carry out one command; returns its reply."""
        name = command.get("command")
        act = self._table.get(name) if isinstance(name, bytes) else None
        if act is None:
            return {"result": "error", "error-reason": "Unrecognized command"}
        try:
            return act(command, now)
        except MediaError as error:
            return {"result": "error", "error-reason": error.reason}

    def collect(self, now: float) -> None:
        """Drop calls that were silent for too long; `query` says so of them afterwards."""
        limit = now - self._settings.session_idle_s
        for call in [call for call in self._calls.values() if call.last_activity < limit]:
            self._expired[call.id] = call.statistics(now)
            while len(self._expired) > _EXPIRED_KEPT:
                self._expired.popitem(last=False)
            self._release(call, now)

    def close(self, now: float) -> None:
        """Give everything back."""
        for call in list(self._calls.values()):
            self._release(call, now)

    # ---- commands -------------------------------------------------------------------------------------------

    def _offer(self, command: dict[str, Value], now: float) -> dict[str, object]:
        call_id, from_tag = _text(command, "call-id"), _text(command, "from-tag")
        data, to_tag = _octets(command, "sdp"), _optional(command, "to-tag")
        protocol = (_optional(command, "transport-protocol") or "RTP/AVP").upper()
        if protocol not in ("RTP/AVP", "RTP/SAVP", "RTP/AVPF", "RTP/SAVPF"):
            raise MediaProtocolError(f"transport-protocol {protocol!r} is not spoken here")
        wanted = Wanted(protocol, frozenset(_texts(command, "rtcp-mux")))
        call = self._calls.get(call_id)
        if call is not None:
            return {"result": "ok", "sdp": call.offer(from_tag, to_tag, data, wanted, now)}
        call = self._create(call_id, from_tag, to_tag or "", _texts(command, "direction"), now)
        try:
            written = call.offer(from_tag, to_tag, data, wanted, now)
        except MediaError:
            self._release(call, now)
            raise
        return {"result": "ok", "sdp": written}

    def _answer(self, command: dict[str, Value], now: float) -> dict[str, object]:
        call = self._find(command)
        tags = _text(command, "from-tag"), _text(command, "to-tag")
        return {"result": "ok", "sdp": call.answer(*tags, _octets(command, "sdp"), now)}

    def _delete(self, command: dict[str, Value], now: float) -> dict[str, object]:
        call_id = _text(command, "call-id")
        call = self._calls.get(call_id)
        if call is None:
            expired = self._expired.pop(call_id, None)
            if expired is not None:
                return {"result": "ok", "expired": 1, "streams": expired}
            return {"result": "ok", "warning": "Unknown call-id", "streams": []}
        streams = call.statistics(now)
        self._release(call, now)
        return {"result": "ok", "streams": streams}

    def _query(self, command: dict[str, Value], now: float) -> dict[str, object]:
        expired = self._expired.get(_text(command, "call-id"))
        if expired is not None:
            return {"result": "ok", "expired": 1, "streams": expired}
        return {"result": "ok", "streams": self._find(command).statistics(now)}

    def _list(self, _command: dict[str, Value], _now: float) -> dict[str, object]:
        # A reply is one datagram; the number of calls says whether the list is whole.
        return {"result": "ok", "count": len(self._calls), "calls": list(self._calls)[:500]}

    def _statistics(self, _command: dict[str, Value], _now: float) -> dict[str, object]:
        pools = {name: {"pairs": pool.size, "in-use": pool.in_use} for name, pool in self._pools.items()}
        return {"result": "ok", "calls": len(self._calls), "expired": len(self._expired), "ports": pools}

    # ---- calls ----------------------------------------------------------------------------------------------

    def _find(self, command: dict[str, Value]) -> Call:
        call = self._calls.get(_text(command, "call-id"))
        if call is None:
            raise UnknownCall("Unknown call-id")
        return call

    def _create(self, call_id: str, from_tag: str, to_tag: str, direction: list[str], now: float) -> Call:
        from_name, to_name = (*direction, "", "")[:2]
        first = self._party(from_tag, self._interface(from_name), now)
        try:
            second = self._party(to_tag, self._interface(to_name), now)
        except MediaError:
            first.leg.close()
            self._pools[first.interface.bind].release(first.leg.port, now)
            raise
        call = self._calls[call_id] = Call(call_id, (first, second), now)
        self._expired.pop(call_id, None)
        return call

    def _interface(self, name: str) -> Interface:
        if name in ("", "default") and name not in self._interfaces:
            return self._default
        try:
            return self._interfaces[name]
        except KeyError:
            raise MediaProtocolError(f"there is no interface {name!r}") from None

    def _party(self, tag: str, interface: Interface, now: float) -> Party:
        pool = self._pools[interface.bind]
        for _ in range(_BIND_ATTEMPTS):
            port = pool.take(now)
            try:
                leg = Leg(self._reader, self._packet, interface.bind, port, self._settings.relatch_after_s)
            except OSError:
                pool.release(port, now)
                continue
            key = CryptoLine(1, AES_80, os.urandom(KEY_OCTETS))
            return Party(tag, interface, leg, secrets.randbelow(1 << 53), key)
        raise NoPortsLeft("no ports left: those tried are in use by other programs, or files ran out")

    def _release(self, call: Call, now: float) -> None:
        self._calls.pop(call.id, None)
        call.close()
        for party in call.parties:
            self._pools[party.interface.bind].release(party.leg.port, now)


def _octets(command: dict[str, Value], name: str) -> bytes:
    value = command.get(name)
    if not isinstance(value, bytes) or not value:
        raise MediaProtocolError(f"no {name} in the command")
    return value


def _text(command: dict[str, Value], name: str) -> str:
    return _octets(command, name).decode("utf-8", "surrogateescape")


def _optional(command: dict[str, Value], name: str) -> str | None:
    return _text(command, name) if command.get(name) else None


def _texts(command: dict[str, Value], name: str) -> list[str]:
    value = command.get(name)
    items = value if isinstance(value, list) else []
    return [item.decode("utf-8", "surrogateescape") for item in items if isinstance(item, bytes)]
