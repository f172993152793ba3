"""The metrics have the promised names, count what happens, and cannot be grown by a peer."""

import re

from console import Metrics
from events import (
    CallAnswered,
    CallEnded,
    CallStarted,
    CertificateChanged,
    ConnectionRejected,
    DirectoryLoaded,
    EventBus,
    MediaEngineState,
    MediaSummary,
    TrunkStateChanged,
)


def subscribed(now: float = 1000.0) -> tuple[Metrics, EventBus]:
    metrics = Metrics(wall=lambda: now)
    bus = EventBus(lambda event, handler, error: (_ for _ in ()).throw(error))
    metrics.subscribe(bus)
    return metrics, bus


def page(metrics: Metrics) -> dict[str, float]:
    text = metrics.render("text/plain")[0].decode()
    return {
        line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1])
        for line in text.splitlines()
        if line.startswith("trunkline_")
    }


def test_a_call_is_counted_from_start_to_end() -> None:
    metrics, bus = subscribed()
    bus.publish(CallStarted("c1", "to_teams", "contoso", "talkdesk", "+14255550100", "+14255550101"))
    assert page(metrics)["trunkline_active_calls"] == 1
    bus.publish(CallAnswered("c1", "to_teams", "teams", 0.3))
    media = MediaSummary(packets=100, lost_packets=2)
    bus.publish(CallEnded("c1", "to_teams", "answered", "hangup", 200, media=media))
    bus.publish(CallEnded("c2", "to_teams", "refused", "unknown_target", 404, counted=False))
    found = page(metrics)
    assert found["trunkline_active_calls"] == metrics.active_calls == 0
    assert found['trunkline_calls_total{direction="to_teams",outcome="answered",reason="hangup"}'] == 1
    assert found['trunkline_calls_total{direction="to_teams",outcome="refused",reason="unknown_target"}'] == 1
    assert found['trunkline_call_setup_seconds_count{direction="to_teams"}'] == 1
    assert found['trunkline_call_setup_seconds_bucket{direction="to_teams",le="0.25"}'] == 0
    assert found['trunkline_call_setup_seconds_bucket{direction="to_teams",le="0.5"}'] == 1
    assert found["trunkline_media_packets_total"] == 100
    assert found["trunkline_media_lost_packets_total"] == 2


def test_states_are_shown_as_they_are_now() -> None:
    metrics, bus = subscribed(now=1000.0)
    bus.publish(TrunkStateChanged("teams", "hub:5061", up=True, reason="200"))
    bus.publish(TrunkStateChanged("teams", "hub:5061", up=False, reason="timeout"))
    bus.publish(CertificateChanged("main", 5000.0))
    bus.publish(MediaEngineState("relay-0", up=True))
    bus.publish(DirectoryLoaded("contoso", 42, 0, 990.0))
    bus.publish(ConnectionRejected("192.0.2.1:5061", "no_trunk"))
    metrics.watch("media_ports_in_use", "Ports.", lambda: 8)
    metrics.loop_lag(0.004)
    found = page(metrics)
    assert found['trunkline_trunk_up{peer="hub:5061",trunk="teams"}'] == 0
    assert found['trunkline_tls_certificate_expiry_seconds{certificate="main"}'] == 4000
    assert found['trunkline_media_relay_up{engine="relay-0"}'] == 1
    assert found['trunkline_directory_people{tenant="contoso"}'] == 42
    assert found['trunkline_directory_age_seconds{tenant="contoso"}'] == 10
    assert found['trunkline_rejected_connections_total{reason="no_trunk"}'] == 1
    assert found["trunkline_media_ports_in_use"] == 8
    assert found['trunkline_event_loop_lag_seconds_bucket{le="0.005"}'] == 1


def test_messages_are_counted_by_method_and_code() -> None:
    metrics, _ = subscribed()
    for _ in range(3):
        metrics.sip_message("in", "INVITE")
    metrics.sip_message("out", "INVITE", 200)
    found = page(metrics)
    assert found['trunkline_sip_messages_total{code="0",direction="in",method="INVITE"}'] == 3
    assert found['trunkline_sip_messages_total{code="200",direction="out",method="INVITE"}'] == 1


def test_a_peer_cannot_grow_the_labels() -> None:
    metrics, bus = subscribed()
    for number in range(1000):
        metrics.sip_message("in", f"METHOD{number}", number)
        metrics.parse_error(f"bad thing {number} at +142555501{number:02}")
        metrics.parse_error("".join(chr(97 + int(digit)) for digit in str(number)))
        bus.publish(ConnectionRejected("192.0.2.1:1", "x" * number))
    found = page(metrics)
    assert sum(name.startswith("trunkline_sip_messages_total") for name in found) <= 700
    assert sum(name.startswith("trunkline_sip_parse_errors_total") for name in found) <= 61
    assert sum(name.startswith("trunkline_rejected_connections_total") for name in found) <= 61
    assert found['trunkline_sip_parse_errors_total{reason="bad_thing_at"}'] == 1000
    assert not any(re.search(r"\d{4,}", name.partition('reason="')[2]) for name in found)


def test_the_page_is_prometheus_or_openmetrics_as_asked() -> None:
    metrics, _ = subscribed()
    assert metrics.render("")[1].startswith("text/plain")
    body, content_type = metrics.render("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
    assert b"process_resident_memory_bytes" in body
