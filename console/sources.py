"""What the console needs of the program; the composition root hands it in."""

from typing import Protocol

from console.model import Readiness, Status


class MetricsSource(Protocol):
    """Gives the metrics."""

    def render(self, accept: str) -> tuple[bytes, str]:
        """Give the page and its content type, as `Accept` wants it. Called in a thread."""
        ...


class HealthSource(Protocol):
    """Knows the node's state. Called on the event loop; must not block."""

    def readiness(self) -> Readiness:
        """Tell whether the node takes calls, and if not why."""
        ...

    def status(self) -> Status:
        """Give the whole state."""
        ...

    def request_drain(self) -> None:
        """Ask the program to drain; harmless when it already does."""
        ...
