"""The node itself: who it is, where it listens, what it allows itself, how it resolves names.

Not here: media (`config.media`), tenants and trunks (`config.trunks`).
"""

from typing import Literal

from pydantic import Field, SecretStr

from config.base import (
    Count,
    FilePath,
    Host,
    IpAddress,
    IpAddresses,
    Name,
    Port,
    PortOrFree,
    Seconds,
    SecondsOrOff,
    Section,
    Transport,
)


class Log(Section):
    """What is written to standard error, one event a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is written."""
    format: Literal["json", "text"] = "text"
    """`json` for machines, `text` for people."""
    mask_numbers: bool = True
    """Whether telephone numbers are masked (all but the last two digits) before a line is written."""


class Node(Section):
    """This node: the name that peers know it by, and how it stops."""

    fqdn: Host
    """The node's own public name, used in Via, Contact and From unless a trunk says otherwise. For Teams it
    must be a DNS name that a certificate carries."""
    name: Name = "trunkline"
    """The node's name in logs."""
    user_agent: str = Field(default="Trunkline", max_length=200, pattern=r"^[\x20-\x7e]*$")
    """What the `User-Agent` and `Server` headers say; empty leaves them out."""
    drain_timeout_s: SecondsOrOff = 300.0
    """After the first SIGTERM or `trunkline drain`: how long calls in progress may go on. Seconds."""
    shutdown_timeout_s: Seconds = 10.0
    """How long the rest of the shutdown (ending calls, closing sockets, stopping the relay) may take.
    Seconds."""
    log: Log = Log()
    """What is logged, and how."""


class Http(Section):
    """The HTTP port for metrics, health and the REST interface."""

    address: IpAddress = "127.0.0.1"
    """The local address. Whoever reaches it can read metrics and state; only loopback peers can drain the
    node."""
    port: PortOrFree = 8080
    """The local port; 0 takes any free one (it is logged)."""


class Certificate(Section):
    """A certificate that the node presents; changed files are taken up without a restart."""

    chain: FilePath
    """PEM file with the certificate first, then every intermediate."""
    key: FilePath
    """PEM file with the private key."""
    key_password: SecretStr | None = None
    """The password of the private key, when it has one (or `key_password_file`)."""


class Listener(Section):
    """A socket that SIP arrives at."""

    name: Name
    """The listener's name, for trunks to refer to."""
    transport: Transport
    """How SIP is carried: `udp`, `tcp` or `tls`."""
    address: IpAddress = "0.0.0.0"  # noqa: S104 - an SBC listens to the world; trunks say who is heard
    """The local address; `::` takes IPv6 (and IPv4, where the system does so)."""
    port: PortOrFree
    """The local port; 0 takes any free one (for trials only: peers must know the port)."""
    certificate: Name | None = None
    """The certificate to present when a client names none that fits better (TLS only, and needed there)."""
    advertised_host: Host | None = None
    """The host to write into Via and Contact instead of the trunk's own name: when a NAT lies in front."""
    advertised_port: Port | None = None
    """The port to write into Via and Contact instead of the local one: when a NAT lies in front."""


class Limits(Section):
    """What the node allows peers, all of them together. Emergency calls are exempt from the call limits."""

    calls_per_s: float = Field(default=200.0, gt=0)
    """New calls a second over all trunks, on average."""
    call_burst: Count = 400
    """New calls at once above that average."""
    concurrent_calls: Count = 5000
    """Calls in progress over all trunks."""
    transactions: Count = 50_000
    """SIP server transactions held at once; beyond it new requests get 503."""
    handshakes: Count = 200
    """TLS handshakes in progress, over all sources."""
    handshakes_per_source: Count = 50
    """TLS handshakes in progress, from one address."""
    connections: Count = 10_000
    """Accepted connections, over all sources."""
    connections_per_source: Count = 500
    """Accepted connections from one address."""
    handshake_timeout_s: Seconds = 10.0
    """How long a TLS handshake may take. Seconds."""
    idle_timeout_s: Seconds = 600.0
    """How long an accepted connection may say nothing before it is closed. Seconds."""
    first_message_timeout_s: Seconds = 30.0
    """How long an accepted connection may take to send its first whole message or keep-alive. Seconds."""
    write_buffer_bytes: Count = 4_194_304
    """How much may wait for a peer that reads slowly before its connection is closed. Bytes."""
    line_bytes: Count = 8192
    """The longest header line. Bytes."""
    header_count: Count = 256
    """The most header lines in a message."""
    header_bytes: Count = 65_536
    """The largest header part of a message. Bytes."""
    body_bytes: Count = 65_536
    """The largest body. Bytes."""
    malformed_before_ban: Count = 50
    """How many malformed messages within a minute ban their source for a while."""
    ban_s: SecondsOrOff = 60.0
    """How long such a ban lasts; 0 bans nobody. Seconds."""


class Timers(Section):
    """SIP timers (RFC 3261 appendix A) and how long people are waited for."""

    t1_s: float = Field(default=0.5, gt=0, le=10)
    """The round-trip estimate T1. Seconds."""
    t2_s: float = Field(default=4.0, gt=0, le=60)
    """The longest retransmission interval T2. Seconds."""
    t4_s: float = Field(default=5.0, gt=0, le=60)
    """How long a message may stay in the network, T4. Seconds."""
    no_answer_s: Seconds = 180.0
    """How long a called person may ring before the call is given up with 408. Seconds."""
    invite_timeout_s: Seconds = 6.0
    """How long a hub may stay silent after an INVITE before the next one is tried. Seconds."""
    session_expires_s: int = Field(default=1800, ge=90, le=86_400)
    """The session interval offered (Session-Expires, RFC 4028). Seconds."""
    min_se_s: int = Field(default=90, ge=90, le=86_400)
    """The shortest session interval accepted (Min-SE, RFC 4028). Seconds."""


class Dns(Section):
    """How names are resolved."""

    static: dict[Host, IpAddresses] = Field(default_factory=dict)
    """Names with their addresses, asked before anything else: `"hub.contoso.example" = ["192.0.2.10"]`."""
    nameservers: IpAddresses = ()
    """The name servers to ask; empty takes those of the system."""
    min_ttl_s: SecondsOrOff = 5.0
    """How long an answer is kept at least. Seconds."""
    max_ttl_s: Seconds = 3600.0
    """How long an answer is kept at most. Seconds."""
    timeout_s: Seconds = 3.0
    """How long a look-up may take. Seconds."""
