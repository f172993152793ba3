"""The facts that services tell each other, as frozen values, and the in-process bus that carries them.

Who publishes knows nothing of who listens; who listens can never harm who publishes.
"""

from events.bus import EventBus, EventQueue, Subscription
from events.facts import (
    CallAnswered,
    CallDirection,
    CallEnded,
    CallOutcome,
    CallRinging,
    CallStarted,
    CertificateChanged,
    CertificateExpiring,
    CertificateRefused,
    ConnectionRejected,
    DirectoryLoaded,
    DirectoryRefused,
    DrainStarted,
    Event,
    MediaEngineState,
    MediaSummary,
    TrunkStateChanged,
)

__all__ = [
    "CallAnswered",
    "CallDirection",
    "CallEnded",
    "CallOutcome",
    "CallRinging",
    "CallStarted",
    "CertificateChanged",
    "CertificateExpiring",
    "CertificateRefused",
    "ConnectionRejected",
    "DirectoryLoaded",
    "DirectoryRefused",
    "DrainStarted",
    "Event",
    "EventBus",
    "EventQueue",
    "MediaEngineState",
    "MediaSummary",
    "Subscription",
    "TrunkStateChanged",
]
