"""Tenants (customers) and trunks (their ways into Teams and Talkdesk).

A kind only sets defaults (`KIND_DEFAULTS`): every one of them can be said otherwise, so that any peer can be
described.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, model_validator

from config.base import (
    Cidrs,
    Count,
    FilePath,
    Host,
    Name,
    Names,
    NumberPrefixes,
    SecondsOrOff,
    Section,
    Texts,
    Transport,
    is_dns_name,
    is_ip,
)

DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "tls": 5061}
"""RFC 3261 §19.1.2."""

KIND_DEFAULTS: dict[str, dict[str, Any]] = {
    "teams": {
        "transport": "tls",
        # The union of the newer list (52.112.0.0/14, 52.122.0.0/15) and the older: calls come from all of it.
        "sources": ("52.112.0.0/14", "52.120.0.0/14"),
        "targets": ("sip.pstnhub.microsoft.com", "sip2.pstnhub.microsoft.com", "sip3.pstnhub.microsoft.com"),
        "accepted_sans": ("sip.pstnhub.microsoft.com",),
        "require_client_certificate": True,
        "accept_server_auth_only": True,
        "options_interval_s": 60.0,
        "media_profile": "teams",
    },
    "talkdesk": {
        "require_client_certificate": False,
        "accept_server_auth_only": False,
        "options_interval_s": 0.0,
        "reuse_inbound": True,
        "media_profile": "rtp",
    },
}
"""What a kind of trunk means when nothing else is said."""

_TARGET = re.compile(
    r"(?:(?P<scheme>sips?):)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^:;@\[\]/?\s]+)(?::(?P<port>[0-9]{1,5}))?"
    r"(?:;transport=(?P<transport>udp|tcp|tls))?\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Target:
    """A place to send requests to."""

    host: str
    """DNS name or IP address (without brackets)."""
    port: int
    """The port; only a hint when `srv` is set and the target named none."""
    transport: Transport
    """How SIP is carried there."""
    srv: bool
    """Whether NAPTR and SRV records are asked for (RFC 3263): the trunk says so and the target names no
    port."""

    @classmethod
    def parse(cls, text: str, transport: Transport = "tls", *, srv: bool = False) -> "Target":
        """Read `host`, `host:port` or `sip:host:port;transport=tcp`; raises ValueError with a sentence."""
        found = _TARGET.match(text.strip())
        if found is None:
            raise ValueError(
                f"{text!r} is not a target (write 'host', 'host:port' or 'sip:host:port;transport=tcp')"
            )
        host = found["host"].strip("[]").lower().rstrip(".")
        if not (is_ip(host) or is_dns_name(host)):
            raise ValueError(f"{text!r}: {host!r} is neither a host name nor an IP address")
        if (found["scheme"] or "").lower() == "sips":
            transport = "tls"
        if found["transport"]:
            named = found["transport"].lower()
            transport = "udp" if named == "udp" else "tcp" if named == "tcp" else "tls"
        port = int(found["port"]) if found["port"] else DEFAULT_PORTS[transport]
        if not 1 <= port <= 65535:
            raise ValueError(f"{text!r}: port {port} is not between 1 and 65535")
        return cls(host, port, transport, srv and not found["port"] and not is_ip(host))


def _targets(value: Any) -> Any:
    texts = (value,) if isinstance(value, str) else value
    for text in texts if isinstance(texts, list | tuple) else ():
        if isinstance(text, str):
            Target.parse(text)
    return texts


class Tenant(Section):
    """A customer: a directory of people, a numbering region and what may be dialled."""

    name: Name
    """The tenant's name, for trunks to refer to."""
    region: str = Field(default="US", pattern=r"^[A-Z]{2}$")
    """The country (ISO 3166, two capital letters) that national numbers are read in."""
    routing_enabled: bool = True
    """Whether calls of this tenant are connected; when false they are refused with 403."""
    directory: FilePath | None = None
    """The file of people, `.csv` or `.toml`; watched, and taken up again when it changes."""
    emergency_numbers: Texts = ("112", "911")
    """Numbers that always pass: no limit and no policy refuses them."""


class DigestUser(Section):
    """A user whom a trunk may authenticate as, when we challenge it."""

    username: str = Field(min_length=1, max_length=200)
    """The user name."""
    password: SecretStr
    """The password (or `password_file`)."""


class Trunk(Section):
    """A peer and how to talk with it: who it is, where it is, what may pass."""

    name: Name
    """The trunk's name in logs and metrics."""
    kind: Literal["teams", "talkdesk"]
    """Which vendor's ways to follow; also sets the defaults marked so below."""
    tenant: Name
    """The tenant it belongs to; may be left out when there is only one."""
    fqdn: Host
    """The name to use in Contact, Via and From, and for Teams the one registered there; `node.fqdn` when left
    out."""
    listener: Name
    """The listener that stands for us on this trunk: its port goes into Via and Contact, UDP leaves from it.
    May be left out when only one listener has the trunk's transport."""
    accept_on: Names
    """The listeners that this trunk's peer may arrive at. Default: for Teams every TLS listener, else every
    listener."""
    transport: Transport
    """How requests are sent to a target that names no transport. Default: `tls` for Teams, else the
    listener's."""
    certificate: Name | None = None
    """The certificate to present on this trunk (TLS). Default: the listener's."""

    sources: Cidrs
    """Address ranges that the peer's messages come from; everything else is refused. Default for Teams:
    Microsoft's signalling ranges."""
    require_client_certificate: bool = False
    """Whether a peer that connects over TLS must show a certificate that fits. Default for Teams: true."""
    accepted_sans: Texts = ()
    """Names of which the peer's certificate must carry one (as client, and as server when it is reached by
    address). Default for Teams: `sip.pstnhub.microsoft.com`."""
    accept_server_auth_only: bool = False
    """Whether a client certificate made for servers only is accepted, as Microsoft's are. Default for Teams:
    true."""
    ca_file: FilePath | None = None
    """PEM file of the authorities that may have signed the peer's certificate. Default: the system's."""

    targets: Annotated[Texts, BeforeValidator(_targets)] = ()
    """Where requests go, in order of preference: `host`, `host:port` or `sip:host:port;transport=tcp`.
    Default for Teams: the three hubs."""
    dns: Literal["address", "srv"] = "address"
    """`address` looks up A and AAAA only; `srv` asks NAPTR and SRV for targets without a port (RFC 3263)."""
    options_interval_s: SecondsOrOff = 0.0
    """How often each target is asked OPTIONS; 0 never. Default for Teams: 60. Seconds."""
    reuse_inbound: bool = False
    """Whether requests of a call may go out on the connection that the peer opened for it. Default for Talkdesk: true;
    never for Teams, which takes requests only on connections that we opened."""

    media_profile: Literal["teams", "rtp", "srtp"] = "rtp"
    """`teams`: SRTP by SDES as Teams takes it; `srtp`: the same for others; `rtp`: plain. Default by kind."""
    media_interface: Name | None = None
    """The media interface to use; the default one when left out."""
    codecs: Texts = ()
    """The codecs to offer this peer, best first, as `PCMA`, `PCMU`, `G722`, `opus`; empty passes all
    unchanged."""
    ring_policy: Literal["pass", "first", "183-to-180"] = "pass"
    """Ringing towards this peer: `pass` as it comes, `first` only the first answer, `183-to-180` no early
    media."""

    numbers: NumberPrefixes = ()
    """Numbers that are reached through this trunk when Teams dials them (Talkdesk trunks)."""
    allow_unlisted_numbers: NumberPrefixes = ()
    """Numbers that this peer may call though nobody in the directory has them."""
    denied_destinations: NumberPrefixes = ()
    """Numbers that this peer may not call, whatever else is said. Emergency numbers always pass."""
    default_caller_number: str | None = Field(default=None, pattern=r"^\+[1-9][0-9]{1,14}$")
    """The caller's number towards this peer when the call brings none (E.164, as +14255550100)."""
    pass_headers: Texts = ()
    """Headers of the other leg that are passed on to this peer."""
    allow_refer: bool = False
    """Whether REFER is offered to this peer (Allow) and taken from it."""

    calls_per_s: float | None = Field(default=None, gt=0)
    """New calls a second from and to this peer; only `limits` when left out."""
    concurrent_calls: Count | None = None
    """Calls in progress on this trunk; only `limits` when left out."""

    auth_username: str | None = None
    """The user name to answer the peer's digest challenges with."""
    auth_password: SecretStr | None = None
    """The password for it (or `auth_password_file`)."""
    auth_realm: str | None = None
    """The realm that the user name is for (any when left out); also the realm of our own challenges (`fqdn`
    then)."""
    digest_required: bool = False
    """Whether the peer's requests are challenged (digest, RFC 8760)."""
    digest_users: tuple[DigestUser, ...] = ()
    """The users it may answer as."""

    @model_validator(mode="before")
    @classmethod
    def _fill_kind_defaults(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        kind = values.get("kind")
        return {**KIND_DEFAULTS.get(kind if isinstance(kind, str) else "", {}), **values}

    def parsed_targets(self) -> tuple[Target, ...]:
        """Give `targets` in order, each with its port and transport."""
        return tuple(Target.parse(text, self.transport, srv=self.dns == "srv") for text in self.targets)
