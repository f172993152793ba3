"""The status board: follows the bus and knows the node's state at any moment (`HealthSource`)."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from console.model import (
    CertificateStatus,
    DirectoryStatus,
    EngineStatus,
    PeerStatus,
    Readiness,
    Status,
    TrunkStatus,
)
from events import (
    CallEnded,
    CallStarted,
    CertificateChanged,
    CertificateRefused,
    DirectoryLoaded,
    DirectoryRefused,
    EventBus,
    MediaEngineState,
    TrunkStateChanged,
)

Phase = Literal["starting", "ready", "draining", "stopping"]
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class TrunkFacts:
    """What the board must know of a trunk beforehand."""

    name: str
    kind: str
    tenant: str
    probed: bool
    """Whether its peers are asked OPTIONS; if not, nothing is known of them and the trunk is taken for
    usable."""


class StatusBoard:
    """The node's state.

    Ready means: started, not draining, a media engine up, and every kind of trunk reachable.
    """

    def __init__(
        self,
        *,
        node: str,
        fqdn: str,
        version: str,
        trunks: tuple[TrunkFacts, ...],
        request_drain: Callable[[], None],
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`request_drain` is called when the API is asked to drain."""
        self._node, self._fqdn, self._version = node, fqdn, version
        self._trunks = trunks
        self._request_drain = request_drain
        self._wall, self._clock = wall, clock
        self._started_at = clock()
        self._phase: Phase = "starting"
        self._phase_reason = ""
        self._active_calls = 0
        self._peers: dict[tuple[str, str], TrunkStateChanged] = {}
        self._certificates: dict[str, CertificateChanged] = {}
        self._certificate_problems: dict[str, str] = {}
        self._directories: dict[str, DirectoryLoaded] = {}
        self._directory_problems: dict[str, str] = {}
        self._engines: dict[str, MediaEngineState] = {}

    def subscribe(self, bus: EventBus) -> None:
        """Follow the bus from now on."""
        bus.subscribe(CallStarted, self._on_call_started)
        bus.subscribe(CallEnded, self._on_call_ended)
        bus.subscribe(TrunkStateChanged, self._on_trunk)
        bus.subscribe(CertificateChanged, self._on_certificate)
        bus.subscribe(CertificateRefused, self._on_certificate_refused)
        bus.subscribe(DirectoryLoaded, self._on_directory)
        bus.subscribe(DirectoryRefused, self._on_directory_refused)
        bus.subscribe(MediaEngineState, self._on_engine)

    def phase_is(self, phase: Phase, reason: str) -> None:
        """Note the phase of the node's life."""
        self._phase, self._phase_reason = phase, reason

    def request_drain(self) -> None:
        """Pass the request on (`HealthSource`)."""
        self._request_drain()

    def readiness(self) -> Readiness:
        """Tell whether the node takes calls (`HealthSource`)."""
        reasons: list[str] = []
        if self._phase != "ready":
            reasons.append(
                f"the node is {self._phase} ({self._phase_reason})"
                if self._phase_reason
                else f"the node is {self._phase}"
            )
        if not any(engine.up for engine in self._engines.values()):
            reasons.append("no media engine is up")
        for kind in dict.fromkeys(trunk.kind for trunk in self._trunks):
            states = {self._state(trunk) for trunk in self._trunks if trunk.kind == kind}
            waiting = all(
                not self._peers_of(trunk) and trunk.probed for trunk in self._trunks if trunk.kind == kind
            )
            if waiting:
                reasons.append(f"no peer of a {kind} trunk has answered yet")
            elif states == {"down"}:
                reasons.append(f"every {kind} trunk is down")
        return Readiness(ready=not reasons, reasons=tuple(reasons))

    def status(self) -> Status:
        """Give the whole state (`HealthSource`)."""
        ready = self.readiness()
        return Status(
            node=self._node,
            fqdn=self._fqdn,
            version=self._version,
            phase=self._phase,
            ready=ready.ready,
            reasons=ready.reasons,
            uptime_s=round(self._clock() - self._started_at, 3),
            active_calls=self._active_calls,
            trunks=tuple(self._trunk_status(trunk) for trunk in self._trunks),
            certificates=tuple(self._certificate_status(item) for item in self._certificates.values()),
            directories=tuple(self._directory_status(item) for item in self._directories.values()),
            media=tuple(
                EngineStatus(engine=item.engine, up=item.up, reason=item.reason)
                for item in self._engines.values()
            ),
        )

    def _peers_of(self, trunk: TrunkFacts) -> list[TrunkStateChanged]:
        return [event for (name, _), event in self._peers.items() if name == trunk.name]

    def _state(self, trunk: TrunkFacts) -> Literal["up", "degraded", "down", "unknown"]:
        ups = [peer.up for peer in self._peers_of(trunk)]
        if not ups:
            return "unknown"
        return "up" if all(ups) else "degraded" if any(ups) else "down"

    def _trunk_status(self, trunk: TrunkFacts) -> TrunkStatus:
        peers = tuple(
            PeerStatus(peer=item.peer, up=item.up, reason=item.reason) for item in self._peers_of(trunk)
        )
        return TrunkStatus(
            name=trunk.name, kind=trunk.kind, tenant=trunk.tenant, state=self._state(trunk), peers=peers
        )

    def _certificate_status(self, item: CertificateChanged) -> CertificateStatus:
        return CertificateStatus(
            name=item.certificate,
            not_after=item.not_after,
            days_left=round((item.not_after - self._wall()) / DAY_S, 2),
            names=item.names,
            problem=self._certificate_problems.get(item.certificate, ""),
        )

    def _directory_status(self, item: DirectoryLoaded) -> DirectoryStatus:
        return DirectoryStatus(
            tenant=item.tenant,
            people=item.people,
            findings=item.findings,
            age_s=round(self._wall() - item.loaded_at, 1),
            problem=self._directory_problems.get(item.tenant, ""),
        )

    def _on_call_started(self, event: CallStarted) -> None:
        self._active_calls += 1

    def _on_call_ended(self, event: CallEnded) -> None:
        if event.counted:
            self._active_calls -= 1

    def _on_trunk(self, event: TrunkStateChanged) -> None:
        self._peers[event.trunk, event.peer] = event

    def _on_certificate(self, event: CertificateChanged) -> None:
        self._certificates[event.certificate] = event
        self._certificate_problems.pop(event.certificate, None)

    def _on_certificate_refused(self, event: CertificateRefused) -> None:
        self._certificate_problems[event.certificate] = event.reason

    def _on_directory(self, event: DirectoryLoaded) -> None:
        self._directories[event.tenant] = event
        self._directory_problems.pop(event.tenant, None)

    def _on_directory_refused(self, event: DirectoryRefused) -> None:
        self._directory_problems[event.tenant] = event.reason

    def _on_engine(self, event: MediaEngineState) -> None:
        self._engines[event.engine] = event
