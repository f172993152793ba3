"""The facts themselves. Past tense, frozen, without behaviour; none of them is a command.

Numbers, addresses and Call-IDs may stand in an event (a call record needs them); they never become metric
labels.
"""

from dataclasses import dataclass
from typing import Literal

CallDirection = Literal["to_teams", "to_talkdesk"]
"""Where the call goes, seen from the node."""
CallOutcome = Literal["answered", "refused", "cancelled", "no_answer", "failed"]
"""How a call ended: `answered` (and later hung up), `refused` (by us or the far end), `cancelled` by the
caller, `no_answer`, `failed` (a fault: transport, media, our own)."""


@dataclass(frozen=True, slots=True)
class CallStarted:
    """An INVITE was taken up as a call."""

    call: str
    """The node's own id of the call."""
    direction: CallDirection
    tenant: str
    trunk_in: str
    """The trunk that the call came from."""
    caller: str
    """The caller's number as received; empty when withheld."""
    dialled: str
    """What was dialled, as received."""


@dataclass(frozen=True, slots=True)
class CallRinging:
    """The called party rings for the first time."""

    call: str
    direction: CallDirection
    delay_s: float
    """Since the INVITE arrived. Seconds."""


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """The called party answered."""

    call: str
    direction: CallDirection
    trunk_out: str
    setup_s: float
    """From the INVITE's arrival to our 200 to the caller. Seconds."""


@dataclass(frozen=True, slots=True)
class MediaSummary:
    """What the media engine counted over the life of a call, both directions together."""

    packets: int = 0
    lost_packets: int = 0
    audio_to_callee: bool = False
    """Whether any audio was relayed towards the called party."""
    audio_to_caller: bool = False
    """Whether any audio was relayed towards the caller."""
    jitter_ms: float | None = None
    """The worse direction's mean jitter. Milliseconds."""
    mos: float | None = None
    """The worse direction's estimated mean opinion score, 1 to 4.5."""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """A call is over: once for each CallStarted, and for each INVITE refused before it became one."""

    call: str
    direction: CallDirection
    outcome: CallOutcome
    reason: str
    """Why, as a short word from a fixed set: `hangup`, `busy`, `unknown_target`, `trunk_down`, ..."""
    status: int = 0
    """The final SIP status of the first INVITE; 0 when there was none."""
    tenant: str = ""
    trunk_in: str = ""
    trunk_out: str = ""
    """Empty when no second leg was opened."""
    setup_s: float | None = None
    """From the INVITE's arrival to the answer; None when it was not answered. Seconds."""
    duration_s: float = 0.0
    """From the answer to the end; 0 when it was not answered. Seconds."""
    ended_by: Literal["caller", "callee", "node"] = "node"
    detail: str = ""
    """A sentence for the admin."""
    media: MediaSummary | None = None
    counted: bool = True
    """Whether a CallStarted went before it: False for an INVITE that was refused at the door."""


@dataclass(frozen=True, slots=True)
class TrunkStateChanged:
    """A peer of a trunk came up or went down."""

    trunk: str
    peer: str
    """The target, `host:port`."""
    up: bool
    reason: str
    """Why, in words: `200 to OPTIONS`, `connection refused`, `503, back in 30 s`."""


@dataclass(frozen=True, slots=True)
class CertificateChanged:
    """A certificate was loaded or replaced."""

    certificate: str
    """Its name in the configuration."""
    not_after: float
    """When it expires. Seconds since 1970, UTC."""
    names: tuple[str, ...] = ()
    """Its subject alternative names."""


@dataclass(frozen=True, slots=True)
class CertificateRefused:
    """New certificate files were found and cannot be used; the old certificate stays."""

    certificate: str
    reason: str


@dataclass(frozen=True, slots=True)
class CertificateExpiring:
    """A certificate is near its end."""

    certificate: str
    not_after: float
    """When it expires. Seconds since 1970, UTC."""
    days_left: float


@dataclass(frozen=True, slots=True)
class MediaEngineState:
    """A media engine came up or went down."""

    engine: str
    """Its name or control address."""
    up: bool
    reason: str = ""
    lost_calls: int = 0
    """How many calls lost their media with it."""


@dataclass(frozen=True, slots=True)
class DirectoryLoaded:
    """A directory was read and is in use."""

    tenant: str
    people: int
    findings: int
    """How many rows were left out or look wrong."""
    loaded_at: float
    """Seconds since 1970, UTC."""


@dataclass(frozen=True, slots=True)
class DirectoryRefused:
    """A directory could not be read; the one before stays in use."""

    tenant: str
    reason: str


@dataclass(frozen=True, slots=True)
class ConnectionRejected:
    """A peer was turned away before any of its SIP was believed."""

    remote: str
    """`address:port`."""
    reason: str
    """A short word from a fixed set: `no_trunk`, `tls`, `limit`, ..."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class DrainStarted:
    """The node takes no more calls and waits for those it has."""

    reason: str
    """What asked for it: `SIGTERM`, `api`."""


Event = (
    CallStarted
    | CallRinging
    | CallAnswered
    | CallEnded
    | TrunkStateChanged
    | CertificateChanged
    | CertificateRefused
    | CertificateExpiring
    | MediaEngineState
    | DirectoryLoaded
    | DirectoryRefused
    | ConnectionRejected
    | DrainStarted
)
"""Every fact there is."""
