"""What the legs of a call tell the call: call-control events, never SIP.

A leg speaks SIP with its peer and nothing else; what matters to the other leg is said in these words. An event carries
facts (a session description, a status, a cause) and no reference to a message, so the call that receives it cannot reach
through to the wire.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class EndedBy(enum.Enum):
    """Who or what ended a leg."""

    BYE = "bye"  # the peer hung up
    CANCEL = "cancel"  # the caller gave up before the answer
    TIMEOUT = "timeout"  # the peer stopped answering (a transaction timed out)
    TRANSPORT = "transport"  # no connection could carry the request
    NO_ACK = "no_ack"  # the 200 was never acknowledged (RFC 3261 §13.3.1.4)
    SESSION_EXPIRED = "session_expired"  # nobody refreshed the session (RFC 4028 §10)
    PROTOCOL = "protocol"  # the peer broke offer/answer beyond repair


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a leg or call ended, as far as anybody said."""

    by: EndedBy
    reason: str | None = None
    """The peer's own Reason header value (RFC 3326), unchanged."""


@dataclass(frozen=True, slots=True)
class Ringing:
    """The callee is alerted (18x without a session description)."""

    status: int = 180


@dataclass(frozen=True, slots=True)
class EarlyMedia:
    """The callee's side described its media before it answered (18x with SDP), maybe from one of several forks."""

    sdp: bytes
    status: int = 183


@dataclass(frozen=True, slots=True)
class Answered:
    """The callee answered; ``sdp`` is its session description."""

    sdp: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """The callee's side answered with a final status that is not 2xx, or could not be reached at all."""

    status: int
    phrase: str
    reason: str | None = None
    """Reason header of the refusal (RFC 3326), unchanged."""
    code: str = "far_end"
    """The word for metrics and records: ``far_end``, ``trunk_down``, ``trunk_shedding``, ``timeout`` …"""
    retry_after_s: int | None = None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The answer was acknowledged; ``sdp`` is the peer's answer when our 200 carried the offer."""

    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class OfferReceived:
    """The peer wants to change the session (re-INVITE or UPDATE); ``None`` asks us to make the offer."""

    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """The peer accepted our offer and answered with ``sdp``."""

    sdp: bytes


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """The peer refused our offer; the session stays as it was."""

    status: int
    phrase: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The leg is gone; nothing can be sent on it any more."""

    cause: Cause


@dataclass(frozen=True, slots=True)
class MediaLost:
    """The engine that carried the call's media is gone, and the media with it."""

    detail: str


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """The callee was alerted for as long as the trunk allows."""


LegEvent = (
    Ringing
    | EarlyMedia
    | Answered
    | Refused
    | Acknowledged
    | OfferReceived
    | OfferAnswered
    | OfferRefused
    | Ended
    | MediaLost
    | NoAnswer
)
