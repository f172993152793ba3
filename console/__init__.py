"""HTTP: the REST interface (OpenAPI), /metrics and /health, served inside the program's own event loop."""

from console.app import build_app
from console.board import StatusBoard, TrunkFacts
from console.errors import ConsoleError, ListenError
from console.loop_lag import watch_loop_lag
from console.metrics import Metrics
from console.model import (
    CertificateStatus,
    DirectoryStatus,
    DrainAnswer,
    EngineStatus,
    PeerStatus,
    Readiness,
    Status,
    TrunkStatus,
)
from console.server import ConsoleServer
from console.sources import HealthSource, MetricsSource

__all__ = [
    "CertificateStatus",
    "ConsoleError",
    "ConsoleServer",
    "DirectoryStatus",
    "DrainAnswer",
    "EngineStatus",
    "HealthSource",
    "ListenError",
    "Metrics",
    "MetricsSource",
    "PeerStatus",
    "Readiness",
    "Status",
    "StatusBoard",
    "TrunkFacts",
    "TrunkStatus",
    "build_app",
    "watch_loop_lag",
]
