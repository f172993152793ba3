"""Where media flows, and which engine carries it.

Not here: what media looks like on a trunk, which is the trunk's media profile.
"""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from config.base import Count, IpAddress, Name, Port, Seconds, Section, Texts


class MediaInterface(Section):
    """One more address for media, when the node has several networks."""

    name: Name
    """The interface's name, for trunks to refer to."""
    bind_address: IpAddress
    """The local address to receive media on."""
    address: IpAddress | None = None
    """The address to write into SDP; the local one when left out."""

    @property
    def advertised(self) -> str:
        """The address that peers are told to send to."""
        return self.address or self.bind_address


def _endpoints(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class Media(Section):
    """The media engine: the embedded relay, or rtpengine processes that run beside the node."""

    engine: Literal["relay", "rtpengine"] = "relay"
    """`relay` starts the embedded relay as a process of its own; `rtpengine` uses the engines named in
    `ng`."""
    address: IpAddress | None = None
    """The address to write into SDP (relay): the public one. The local one when left out."""
    bind_address: IpAddress = "0.0.0.0"  # noqa: S104 - media comes from wherever the peer's SDP says
    """The local address to receive media on (relay)."""
    port_min: Port = 30_000
    """The first UDP port for media (relay). A call takes four ports, or two when both sides multiplex
    RTCP."""
    port_max: Port = 39_999
    """The last UDP port for media (relay)."""
    interfaces: tuple[MediaInterface, ...] = ()
    """More addresses, when trunks are reached over different networks. The first one, named `default`, is
    made of `address` and `bind_address`."""
    ng: Annotated[Texts, BeforeValidator(_endpoints)] = ()
    """The control addresses of the rtpengine processes, `host:port` each."""
    timeout_s: Seconds = 2.0
    """How long an engine may take to answer a command, all repetitions included. Seconds."""
    session_idle_s: float = Field(default=3600.0, ge=10)
    """After how long without a packet the relay forgets a call that nobody ended. Seconds."""
    workers: Count = 1
    """How many relay processes share the calls."""

    @property
    def advertised(self) -> str:
        """The address that peers are told to send to."""
        return self.address or self.bind_address

    @property
    def ng_endpoints(self) -> tuple[tuple[str, int], ...]:
        """The engines' control addresses as (host, port)."""
        return tuple(
            (host.strip("[]"), int(port)) for host, _, port in (item.rpartition(":") for item in self.ng)
        )
