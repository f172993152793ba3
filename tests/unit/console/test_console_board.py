"""The status board knows from events alone whether the node takes calls, and why not."""

from console import StatusBoard, TrunkFacts
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

TRUNKS = (
    TrunkFacts("teams", "teams", "contoso", probed=True),
    TrunkFacts("talkdesk", "talkdesk", "contoso", probed=False),
)


def board(drains: list[str] | None = None) -> tuple[StatusBoard, EventBus]:
    asked = drains if drains is not None else []
    made = StatusBoard(
        node="sbc1",
        fqdn="sbc1.contoso.example",
        version="1",
        trunks=TRUNKS,
        request_drain=lambda: asked.append("api"),
        wall=lambda: 86_400.0,
        clock=lambda: 5.0,
    )
    bus = EventBus(lambda event, handler, error: (_ for _ in ()).throw(error))
    made.subscribe(bus)
    return made, bus


def test_it_is_ready_when_started_with_media_and_a_trunk_of_each_kind() -> None:
    made, bus = board()
    assert made.readiness().reasons == (
        "the node is starting",
        "no media engine is up",
        "no peer of a teams trunk has answered yet",
    )
    made.phase_is("ready", "started")
    bus.publish(MediaEngineState("relay", up=True))
    bus.publish(TrunkStateChanged("teams", "hub1:5061", up=False, reason="timeout"))
    assert made.readiness().reasons == ("every teams trunk is down",)
    bus.publish(TrunkStateChanged("teams", "hub2:5061", up=True, reason="200"))
    assert made.readiness().ready
    assert made.status().trunks[0].state == "degraded"
    assert made.status().trunks[1].state == "unknown"


def test_draining_and_a_lost_engine_are_reasons() -> None:
    made, bus = board()
    made.phase_is("ready", "started")
    bus.publish(TrunkStateChanged("teams", "hub1:5061", up=True, reason="200"))
    bus.publish(MediaEngineState("relay", up=True))
    bus.publish(MediaEngineState("relay", up=False, reason="exit 1"))
    made.phase_is("draining", "SIGTERM")
    assert made.readiness().reasons == ("the node is draining (SIGTERM)", "no media engine is up")


def test_the_status_shows_calls_certificates_and_directories() -> None:
    made, bus = board()
    bus.publish(CallStarted("c1", "to_teams", "contoso", "talkdesk", "", ""))
    bus.publish(CallStarted("c2", "to_teams", "contoso", "talkdesk", "", ""))
    bus.publish(CallEnded("c2", "to_teams", "failed", "x"))
    bus.publish(CallEnded("c3", "to_teams", "refused", "x", counted=False))
    bus.publish(CertificateChanged("main", 3 * 86_400.0, ("sbc1.contoso.example",)))
    bus.publish(CertificateRefused("main", "key does not fit"))
    bus.publish(DirectoryLoaded("contoso", 10, 1, 86_390.0))
    bus.publish(DirectoryRefused("contoso", "not UTF-8"))
    state = made.status()
    assert state.active_calls == 1
    assert (state.certificates[0].days_left, state.certificates[0].problem) == (2.0, "key does not fit")
    assert (state.directories[0].age_s, state.directories[0].problem) == (10.0, "not UTF-8")
    bus.publish(CertificateChanged("main", 4 * 86_400.0))
    bus.publish(DirectoryLoaded("contoso", 11, 0, 86_400.0))
    state = made.status()
    assert (state.certificates[0].problem, state.directories[0].problem) == ("", "")
