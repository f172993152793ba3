"""What the REST interface answers. Field docstrings become the OpenAPI descriptions."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Readiness(_Model):
    """Whether the node takes calls."""

    ready: bool
    """Whether it does."""
    reasons: tuple[str, ...] = ()
    """Why not, one sentence each; empty when ready."""


class PeerStatus(_Model):
    """One target of a trunk."""

    peer: str
    """`host:port`."""
    up: bool
    """Whether requests are sent there."""
    reason: str
    """What the state rests on."""


class TrunkStatus(_Model):
    """One trunk."""

    name: str
    """Its name in the configuration."""
    kind: str
    """`teams` or `talkdesk`."""
    tenant: str
    """Whose it is."""
    state: Literal["up", "degraded", "down", "unknown"]
    """`degraded`: some peers are down. `unknown`: the trunk is not asked OPTIONS, or nothing was heard
    yet."""
    peers: tuple[PeerStatus, ...]
    """Its targets, as far as something is known of them."""


class CertificateStatus(_Model):
    """One certificate that the node presents."""

    name: str
    """Its name in the configuration."""
    not_after: float
    """When it expires. Seconds since 1970, UTC."""
    days_left: float
    """Days until then; negative when it has expired."""
    names: tuple[str, ...]
    """Its subject alternative names."""
    problem: str = ""
    """Why newer files were refused, if they were."""


class DirectoryStatus(_Model):
    """One tenant's directory."""

    tenant: str
    """Whose it is."""
    people: int
    """How many people it holds."""
    findings: int
    """How many rows were left out or look wrong."""
    age_s: float
    """How long ago it was read. Seconds."""
    problem: str = ""
    """Why a newer file was refused, if it was."""


class EngineStatus(_Model):
    """One media engine."""

    engine: str
    """Its name or control address."""
    up: bool
    """Whether it answers."""
    reason: str
    """Why not."""


class Status(_Model):
    """The whole node at a glance."""

    node: str
    """The node's name."""
    fqdn: str
    """The name that peers know it by."""
    version: str
    """The program's version."""
    phase: Literal["starting", "ready", "draining", "stopping"]
    """Where in its life the node is."""
    ready: bool
    """Whether it takes calls."""
    reasons: tuple[str, ...]
    """Why not."""
    uptime_s: float
    """How long it has been running. Seconds."""
    active_calls: int
    """Calls in progress."""
    trunks: tuple[TrunkStatus, ...]
    """Peers."""
    certificates: tuple[CertificateStatus, ...]
    """What the node presents."""
    directories: tuple[DirectoryStatus, ...]
    """Who can be called."""
    media: tuple[EngineStatus, ...]
    """Media engines."""


class DrainAnswer(_Model):
    """The node drains."""

    draining: bool
    """Always true."""
    active_calls: int
    """Calls in progress that are waited for."""
