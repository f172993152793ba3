"""What a transport is made of: listeners, limits, and who is told what."""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass, field

from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.parser import Limits as MessageLimits
from sbc.transport.flow import Address, Flow


@dataclass(frozen=True, slots=True)
class Listener:
    """A local address to listen on."""

    name: str
    transport: str
    """``UDP``, ``TCP`` or ``TLS``."""
    address: str
    port: int
    certificate: str | None = None
    """The identity to present when SNI names none that fits better."""
    other_certificates: tuple[str, ...] = ()
    """Identities that SNI may choose instead."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What peers may use up."""

    handshakes: int = 200
    handshakes_per_source: int = 50
    connections: int = 10_000
    connections_per_source: int = 500
    handshake_timeout_s: float = 10.0
    idle_timeout_s: float = 600.0
    first_message_timeout_s: float = 30.0
    write_buffer_bytes: int = 4 << 20
    keepalive_s: float = 50.0
    """How often a quiet connection of ours is pinged; Teams closes after two minutes of silence."""
    max_age_s: float = 3300.0
    """When a connection of ours is replaced; Microsoft asks for at least hourly."""
    connect_timeout_s: float = 5.0
    message: MessageLimits = field(default_factory=MessageLimits)


@dataclass(slots=True)
class Callbacks:
    """Who hears what."""

    message: Callable[[Request | Response, Flow], None]
    malformed: Callable[[ParseError, Flow], None]
    lost: Callable[[Flow, str], None]
    rejected: Callable[[Address, str, str], None]
    """A peer was turned away: its address, a word, a sentence."""
    banned: Callable[[str], bool] = lambda _source: False


def bound_socket(listener: Listener) -> socket.socket:
    """Return a bound socket for a listener; ``::`` takes IPv4 too. Raises OSError."""
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    kind = socket.SOCK_DGRAM if listener.transport == "UDP" else socket.SOCK_STREAM
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if listener.address == "::" else 1)
        sock.bind((listener.address, listener.port))
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock
