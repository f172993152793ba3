"""Session timers (RFC 4028): who refreshes a dialog, how often, and when it is given up.

Pure negotiation; a leg arms the clock with what comes out of here. Refreshes are re-INVITEs, because Teams does not take
UPDATE (its Allow has none), and they repeat the session description unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from sbc.sip.message import Request, Response

MIN_SE_S = 90
"""The smallest interval RFC 4028 §4 lets anybody ask for."""


@dataclass(frozen=True, slots=True)
class SessionTimer:
    """An agreed session interval."""

    interval_s: int
    we_refresh: bool

    @property
    def due_s(self) -> float:
        """Seconds from the last refresh until we act: refresh at half, or give up shortly before the end (§10)."""
        if self.we_refresh:
            return self.interval_s / 2
        return self.interval_s - min(32.0, self.interval_s / 3)


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the answering side agreed to, and the headers that say so in its 2xx."""

    timer: SessionTimer | None
    headers: tuple[tuple[str, str], ...]


def parse_session_expires(value: str | None) -> tuple[int, str | None] | None:
    """Interval in seconds and refresher of a Session-Expires value; ``None`` when absent or unreadable."""
    if value is None:
        return None
    number, *params = (part.strip() for part in value.split(";"))
    if not (number.isascii() and number.isdigit() and len(number) <= 10):
        return None
    refresher = None
    for param in params:
        name, _, text = param.partition("=")
        if name.strip().lower() == "refresher" and text.strip().lower() in ("uac", "uas"):
            refresher = text.strip().lower()
    return int(number), refresher


def min_se(headers_value: str | None) -> int:
    """Return the peer's smallest acceptable interval in seconds (Min-SE), at least 90."""
    parsed = parse_session_expires(headers_value)
    return max(MIN_SE_S, parsed[0]) if parsed else MIN_SE_S


def too_small(request: Request) -> bool:
    """Tell whether a request asks for an interval below our minimum, which 422 answers (§9)."""
    asked = parse_session_expires(request.headers.first("Session-Expires"))
    return asked is not None and asked[0] < MIN_SE_S


def supports_timer(message: Request | Response) -> bool:
    """Tell whether the sender lists ``timer`` in Supported."""
    return any(value.strip().lower() == "timer" for value in message.headers.values("Supported"))


def accept(request: Request, ours_s: int) -> Accepted:
    """Answer an INVITE's (or UPDATE's) session timer as the UAS (§9).

    A peer that did not ask gets none: a timer that only we want would end calls with peers that never refresh. Where the
    request leaves the refresher open, the caller refreshes, as it asked for the timer.
    """
    asked = parse_session_expires(request.headers.first("Session-Expires"))
    if asked is None:
        return Accepted(None, ())
    interval, refresher = asked
    smallest = max(min_se(request.headers.first("Min-SE")), MIN_SE_S)
    interval = max(min(interval, ours_s) if ours_s >= smallest else interval, smallest)
    if not supports_timer(request):
        refresher = "uas"
    refresher = refresher or "uac"
    headers: list[tuple[str, str]] = [("Session-Expires", f"{interval};refresher={refresher}")]
    if refresher == "uac":
        headers.append(("Require", "timer"))
    return Accepted(SessionTimer(interval, we_refresh=refresher == "uas"), tuple(headers))


def agreed(response: Response) -> SessionTimer | None:
    """Return the session timer that a 2xx to our own request set, seen as the UAC (§7.2)."""
    parsed = parse_session_expires(response.headers.first("Session-Expires"))
    if parsed is None:
        return None
    interval, refresher = parsed
    return SessionTimer(max(interval, MIN_SE_S), we_refresh=refresher != "uas")
