"""Session timers are negotiated as RFC 4028 says."""

import pytest

from sbc.b2bua.session_timer import MIN_SE_S, SessionTimer, accept, agreed, parse_session_expires, too_small
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri


def invite(*headers: tuple[str, str]) -> Request:
    return Request("INVITE", Uri.parse("sip:+14255550100@sbc1.contoso.example"), headers)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        ("1800", (1800, None)),
        ("1800;refresher=uac", (1800, "uac")),
        (" 90 ; REFRESHER=UAS", (90, "uas")),
        ("1800;refresher=somebody", (1800, None)),
        ("soon", None),
        ("-5", None),
        ("99999999999", None),
        ("", None),
        (None, None),
    ],
)
def test_session_expires_is_read(value: str | None, parsed: tuple[int, str | None] | None) -> None:
    assert parse_session_expires(value) == parsed


def test_a_peer_that_does_not_ask_gets_no_timer() -> None:
    result = accept(invite(("Supported", "timer")), 1800)
    assert result.timer is None
    assert result.headers == ()


def test_the_hub_that_leaves_the_refresher_open_refreshes_itself() -> None:
    """Teams sends Session-Expires: 3600 without a refresher and Supported: timer."""
    result = accept(invite(("SUPPORTED", "timer"), ("SESSION-EXPIRES", "3600"), ("MIN-SE", "300")), 1800)
    assert result.timer == SessionTimer(1800, we_refresh=False)
    assert ("Session-Expires", "1800;refresher=uac") in result.headers
    assert ("Require", "timer") in result.headers


def test_a_peer_without_timer_support_is_refreshed_by_us() -> None:
    """RFC 4028 §9: a proxy may have put the header in; only the UAS can refresh then."""
    result = accept(invite(("Session-Expires", "1800")), 1800)
    assert result.timer == SessionTimer(1800, we_refresh=True)
    assert ("Require", "timer") not in result.headers


def test_the_interval_never_falls_below_the_callers_minimum() -> None:
    result = accept(invite(("Supported", "timer"), ("Session-Expires", "3600"), ("Min-SE", "2400")), 1800)
    assert result.timer is not None
    assert result.timer.interval_s >= 2400


@pytest.mark.parametrize(("value", "small"), [("89", True), ("90", False), ("nonsense", False)])
def test_an_interval_below_ninety_seconds_is_too_small(value: str, small: bool) -> None:
    assert too_small(invite(("Session-Expires", value))) is small


@pytest.mark.parametrize(
    ("value", "timer"),
    [
        ("1800;refresher=uac", SessionTimer(1800, we_refresh=True)),
        ("1800;refresher=uas", SessionTimer(1800, we_refresh=False)),
        ("10;refresher=uac", SessionTimer(MIN_SE_S, we_refresh=True)),
        ("x", None),
    ],
)
def test_what_an_answer_agrees_to(value: str, timer: SessionTimer | None) -> None:
    assert agreed(Response(200, "OK", (("Session-Expires", value),))) == timer


def test_who_acts_when() -> None:
    assert SessionTimer(1800, we_refresh=True).due_s == 900
    assert SessionTimer(1800, we_refresh=False).due_s == 1768
    assert SessionTimer(90, we_refresh=False).due_s == 60
