"""The metrics: counted from events and by the transport's own calls, rendered for Prometheus.

What happens per message costs one dictionary operation: plain numbers are kept, and only a scrape makes
metrics of them. No label holds a telephone number, an address or a Call-ID; labels that a peer could
influence are taken from a fixed set or capped. Not here: what a metric means to a person (deploy/ has the
rules).
"""

import re
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from prometheus_client import (
    CollectorRegistry,
    Counter,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from events import (
    CallAnswered,
    CallEnded,
    CallStarted,
    CertificateChanged,
    ConnectionRejected,
    DirectoryLoaded,
    EventBus,
    MediaEngineState,
    TrunkStateChanged,
)

METHODS = frozenset(
    [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "OPTIONS",
        "REGISTER",
        "REFER",
        "NOTIFY",
        "SUBSCRIBE",
        "UPDATE",
        "PRACK",
        "INFO",
        "MESSAGE",
        "PUBLISH",
    ]
)
"""Methods that may stand in a label; anything else is `other`."""
MOST_REASONS = 60
"""How many different reasons a label may hold; the rest is `other`."""
SETUP_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 80, 180)
LAG_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

_NOT_SLUG = re.compile(r"[^a-z]+")


class Metrics:
    """The node's metrics.

    Make one, `subscribe` it to the bus, and hand `sip_message` and its like to the transport.
    """

    def __init__(
        self, registry: CollectorRegistry | None = None, *, wall: Callable[[], float] = time.time
    ) -> None:
        self.registry = registry or CollectorRegistry()
        self._counts = _Counts(wall)
        self.registry.register(self._counts)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._calls = Counter(
            "trunkline_calls",
            "Calls that ended, by where they went, how they ended and why.",
            ["direction", "outcome", "reason"],
            registry=self.registry,
        )
        setup = Histogram(
            "trunkline_call_setup_seconds",
            "From the INVITE's arrival to our answer to the caller.",
            ["direction"],
            buckets=SETUP_BUCKETS_S,
            registry=self.registry,
        )
        self._setup = {way: setup.labels(way) for way in ("to_teams", "to_talkdesk")}
        lag = Histogram(
            "trunkline_event_loop_lag_seconds",
            "How late the event loop runs what is due.",
            buckets=LAG_BUCKETS_S,
            registry=self.registry,
        )
        self.loop_lag = lag.observe
        """Note one measurement of the loop's lag, in seconds."""

    def subscribe(self, bus: EventBus) -> None:
        """Count what happens on the bus from now on."""
        bus.subscribe(CallStarted, self._on_call_started)
        bus.subscribe(CallAnswered, self._on_call_answered)
        bus.subscribe(CallEnded, self._on_call_ended)
        bus.subscribe(TrunkStateChanged, self._on_trunk)
        bus.subscribe(CertificateChanged, self._on_certificate)
        bus.subscribe(MediaEngineState, self._on_engine)
        bus.subscribe(DirectoryLoaded, self._on_directory)
        bus.subscribe(ConnectionRejected, self._on_rejected)

    def sip_message(self, direction: Literal["in", "out"], method: str, code: int = 0) -> None:
        """Count a SIP message.

        `code` is the status of a response and 0 for a request, `method` that of the CSeq.
        """
        counts, key = self._counts.messages, (direction, method, code)
        try:
            counts[key] += 1
        except KeyError:
            key = (direction, method if method in METHODS else "other", code if 100 <= code <= 699 else 0)
            counts[key] = counts.get(key, 0) + 1

    def parse_error(self, reason: str) -> None:
        """Count a message that could not be read."""
        _count_reason(self._counts.parse_errors, reason)

    def rejected_connection(self, reason: str) -> None:
        """Count a peer that was turned away before its SIP was believed."""
        _count_reason(self._counts.rejected, reason)

    def media_packets(self, packets: int, lost: int) -> None:
        """Add packets that a media engine relayed and missed."""
        self._counts.media_packets += packets
        self._counts.media_lost += lost

    def watch(self, name: str, documentation: str, read: Callable[[], float]) -> None:
        """Show a number that its owner keeps, read at each scrape, as `trunkline_NAME`."""
        self._counts.watched[f"trunkline_{name}"] = (documentation, read)

    @property
    def active_calls(self) -> int:
        """Calls in progress."""
        return self._counts.active_calls

    def render(self, accept: str) -> tuple[bytes, str]:
        """Give the page and its content type (`MetricsSource`)."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type

    def _on_call_started(self, event: CallStarted) -> None:
        self._counts.active_calls += 1

    def _on_call_answered(self, event: CallAnswered) -> None:
        self._setup[event.direction].observe(event.setup_s)

    def _on_call_ended(self, event: CallEnded) -> None:
        if event.counted:
            self._counts.active_calls -= 1
        self._calls.labels(event.direction, event.outcome, event.reason).inc()
        if event.media is not None:
            self.media_packets(event.media.packets, event.media.lost_packets)

    def _on_trunk(self, event: TrunkStateChanged) -> None:
        self._counts.trunks[event.trunk, event.peer] = event.up

    def _on_certificate(self, event: CertificateChanged) -> None:
        self._counts.certificates[event.certificate] = event.not_after

    def _on_engine(self, event: MediaEngineState) -> None:
        self._counts.engines[event.engine] = event.up

    def _on_directory(self, event: DirectoryLoaded) -> None:
        self._counts.directories[event.tenant] = (event.people, event.loaded_at)

    def _on_rejected(self, event: ConnectionRejected) -> None:
        self.rejected_connection(event.reason)


def _count_reason(counts: dict[str, int], reason: str) -> None:
    try:
        counts[reason] += 1
    except KeyError:
        slug = _NOT_SLUG.sub("_", reason.lower()).strip("_")[:40] or "other"
        if slug not in counts and len(counts) >= MOST_REASONS:
            slug = "other"
        counts[slug] = counts.get(slug, 0) + 1


class _Counts(Collector):
    """The plain numbers, made into metrics at each scrape.

    Scraped in a thread: every table is copied first.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        self._wall = wall
        self.messages: dict[tuple[str, str, int], int] = {}
        self.parse_errors: dict[str, int] = {}
        self.rejected: dict[str, int] = {}
        self.trunks: dict[tuple[str, str], bool] = {}
        self.certificates: dict[str, float] = {}
        self.engines: dict[str, bool] = {}
        self.directories: dict[str, tuple[int, float]] = {}
        self.watched: dict[str, tuple[str, Callable[[], float]]] = {}
        self.active_calls = 0
        self.media_packets = 0
        self.media_lost = 0

    def describe(self) -> Iterable[Metric]:
        """Give nothing: names are checked at the scrape, not at registration."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Give every metric."""
        now = self._wall()
        yield _gauge("active_calls", "Calls in progress.", [], [((), self.active_calls)])
        yield _counter(
            "sip_messages",
            "SIP messages, by direction, method and code (0: a request).",
            ["direction", "method", "code"],
            [((way, method, str(code)), n) for (way, method, code), n in list(self.messages.items())],
        )
        yield _counter(
            "sip_parse_errors", "SIP messages that could not be read.", ["reason"], _by(self.parse_errors)
        )
        yield _counter(
            "rejected_connections",
            "Peers turned away before their SIP was believed.",
            ["reason"],
            _by(self.rejected),
        )
        yield _counter("media_packets", "Media packets relayed.", [], [((), self.media_packets)])
        yield _counter(
            "media_lost_packets",
            "Media packets that peers sent and that never arrived.",
            [],
            [((), self.media_lost)],
        )
        yield _gauge("media_relay_up", "Whether a media engine answers.", ["engine"], _by(self.engines))
        yield _gauge(
            "trunk_up", "Whether a peer of a trunk is up.", ["trunk", "peer"], list(self.trunks.items())
        )
        yield _gauge(
            "tls_certificate_expiry_seconds",
            "Seconds until a certificate expires.",
            ["certificate"],
            [((name,), until - now) for name, until in list(self.certificates.items())],
        )
        yield from self._about_directories(now)
        for name, (documentation, read) in list(self.watched.items()):
            yield _gauge(name.removeprefix("trunkline_"), documentation, [], [((), read())])

    def _about_directories(self, now: float) -> Iterator[Metric]:
        directories = list(self.directories.items())
        yield _gauge(
            "directory_people",
            "People in a tenant's directory.",
            ["tenant"],
            [((tenant,), people) for tenant, (people, _) in directories],
        )
        yield _gauge(
            "directory_age_seconds",
            "Seconds since a tenant's directory was read.",
            ["tenant"],
            [((tenant,), now - at) for tenant, (_, at) in directories],
        )


Samples = Iterable[tuple[tuple[str, ...], float]]


def _by(counts: dict[str, int] | dict[str, bool]) -> Samples:
    return [((name,), number) for name, number in list(counts.items())]


def _counter(name: str, documentation: str, labels: list[str], samples: Samples) -> Metric:
    family = CounterMetricFamily(f"trunkline_{name}", documentation, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _gauge(name: str, documentation: str, labels: list[str], samples: Samples) -> Metric:
    family = GaugeMetricFamily(f"trunkline_{name}", documentation, labels=labels)
    for values, number in samples:
        family.add_metric(values, float(number))
    return family
