"""The engines' statistics in one shape.

Pure. The embedded relay answers with `streams`, one dictionary a direction; rtpengine with its tree of tags, medias
and streams. rtpengine counts packets by itself but knows loss, jitter and MOS only from RTCP reports; where there were
none it says nothing, and nothing is said here.
"""

from __future__ import annotations

from sbc.media.bencode import Value
from sbc.media.engine import CallStats, StreamStats


def call_stats(reply: dict[str, Value], now_epoch_s: float) -> CallStats:
    """Read the reply to `query` or `delete` of either engine. `now_epoch_s`: seconds since 1970, for rtpengine's times."""
    expired = bool(reply.get("expired"))
    streams = reply.get("streams")
    if isinstance(streams, list):
        return CallStats(tuple(_relay_stream(item) for item in streams if isinstance(item, dict)), expired)
    return CallStats(tuple(_rtpengine_streams(reply, now_epoch_s)), expired)


def _relay_stream(item: dict[str, Value]) -> StreamStats:
    return StreamStats(
        from_tag=_text(item.get("from")),
        to_tag=_text(item.get("to")),
        packets=_int(item.get("packets")),
        octets=_int(item.get("octets")),
        lost=_int(item.get("lost")),
        jitter_ms=_scaled(item.get("jitter-us"), 1000),
        r_factor=_scaled(item.get("r-x100"), 100),
        mos=_scaled(item.get("mos-x100"), 100),
        last_packet_age_s=_scaled(item.get("age-ms"), 1000),
        errors=_int(item.get("errors")),
        strays=_int(item.get("strays")),
    )


def _rtpengine_streams(reply: dict[str, Value], now_epoch_s: float) -> list[StreamStats]:
    reports = _dict(reply.get("SSRC"))
    found: list[StreamStats] = []
    for tag, leg in _dict(reply.get("tags")).items():
        other = _first_subscriber(_dict(leg))
        streams = [
            _dict(s) for media in _list(_dict(leg).get("medias")) for s in _list(_dict(media).get("streams"))
        ]
        found += [
            _rtpengine_stream(tag, other, stream, reports, now_epoch_s)
            for stream in streams
            if b"RTP" in _list(stream.get("flags"))
        ]
    return found


def _rtpengine_stream(
    tag: str, other: str, stream: dict[str, Value], reports: dict[str, Value], now_epoch_s: float
) -> StreamStats:
    stats = _dict(stream.get("stats"))
    packets = _int(stats.get("packets"))
    report = _dict(reports.get(str(_int(stream.get("SSRC")))))
    average = _dict(report.get("average MOS"))
    mos = average.get("MOS")
    jitter = average.get("jitter")
    last = _int(stream.get("last packet"))
    return StreamStats(
        from_tag=tag,
        to_tag=other,
        packets=packets,
        octets=_int(stats.get("bytes")),
        lost=max(0, _int(report.get("cumulative loss"))),
        jitter_ms=float(jitter) if isinstance(jitter, int) else None,
        mos=mos / 10 if isinstance(mos, int) else None,
        last_packet_age_s=max(0.0, now_epoch_s - last) if packets and last else None,
        errors=_int(stats.get("errors")),
    )


def _first_subscriber(leg: dict[str, Value]) -> str:
    for name in ("subscribers", "subscriptions"):
        for item in _list(leg.get(name)):
            return _text(_dict(item).get("tag"))
    return _text(leg.get("in dialogue with"))


def _dict(value: Value | None) -> dict[str, Value]:
    return value if isinstance(value, dict) else {}


def _list(value: Value | None) -> list[Value]:
    return value if isinstance(value, list) else []


def _int(value: Value | None) -> int:
    return value if isinstance(value, int) else 0


def _text(value: Value | None) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else ""


def _scaled(value: Value | None, by: int) -> float | None:
    return value / by if isinstance(value, int) else None
