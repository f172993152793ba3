"""Media: one interface to the engine that carries a call's audio, its NG client, and the embedded relay."""

from sbc.media.engine import CallStats, MediaEngine, MediaProfile, StreamStats
from sbc.media.errors import (
    MediaEngineDown,
    MediaError,
    MediaProtocolError,
    MediaRefused,
    MediaTimeout,
    NoPortsLeft,
    UnknownCall,
    UnusableSdp,
)

__all__ = [
    "CallStats",
    "MediaEngine",
    "MediaEngineDown",
    "MediaError",
    "MediaProfile",
    "MediaProtocolError",
    "MediaRefused",
    "MediaTimeout",
    "NoPortsLeft",
    "StreamStats",
    "UnknownCall",
    "UnusableSdp",
]
