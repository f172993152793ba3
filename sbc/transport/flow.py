"""A flow: one connection, or one UDP peer on one socket. What the rest of the border controller sees of the network."""

from __future__ import annotations

from typing import Protocol

Address = tuple[str, int]


class Flow(Protocol):
    """Something to send messages on."""

    transport: str
    """``UDP``, ``TCP`` or ``TLS``."""
    reliable: bool
    """False for UDP: what is lost is not repeated by the transport."""
    trunk: str | None
    """The trunk that the peer belongs to, by socket facts."""
    local: Address
    remote: Address
    closed: bool

    def send(self, data: bytes) -> None:
        """Send one message; never waits, never raises: a flow that cannot take it closes."""

    def close(self) -> None:
        """Close the connection; does nothing for UDP."""


def plain_address(address: object) -> Address:
    """Return host and port of a socket address; an IPv4 address mapped into IPv6 is given as IPv4."""
    assert isinstance(address, tuple)
    host, port = str(address[0]), int(address[1])
    if host.startswith("::ffff:") and "." in host:
        host = host[7:]
    return host.partition("%")[0], port
