"""Dialogs keep route sets, numbers and the peer's target as RFC 3261 §12 says."""

import pytest

from sbc.sip.dialog import Dialog, DialogState
from sbc.sip.errors import ParseError
from sbc.sip.message import Request
from sbc.sip.uri import Uri

TEAMS_CONTACT = "sip:api-du-a-eu.pstnhub.contoso.example:443;x-i=6a7e;x-c=4ef2/d/8/9b0c"


def invite(*more: tuple[str, str]) -> Request:
    return Request(
        "INVITE",
        Uri.parse("sip:+14255550101@sbc1.contoso.example"),
        (
            ("FROM", "Ada Example<sip:+14255550101@sip.pstnhub.contoso.example;user=phone>;tag=hub"),
            ("TO", "<sip:+14255550190@sbc1.contoso.example>"),
            ("CALL-ID", "c1"),
            ("CSEQ", "5 INVITE"),
            ("CONTACT", f"<{TEAMS_CONTACT}>"),
            *more,
        ),
    )


def test_a_callee_keeps_the_route_set_in_order_and_the_hubs_target_byte_for_byte() -> None:
    dialog = Dialog.from_invite_received(
        invite(("RECORD-ROUTE", "<sip:p1.example;lr>, <sip:p2.example;lr>")), "mine"
    )
    bye = dialog.request("BYE")
    assert str(bye.uri) == TEAMS_CONTACT
    assert bye.headers.lines("Route") == ["<sip:p1.example;lr>", "<sip:p2.example;lr>"]
    assert dialog.next_hop.host == "p1.example"
    assert bye.to.tag == "hub"
    assert bye.from_.tag == "mine"
    assert bye.to.display == "Ada Example"


def test_a_caller_reverses_the_route_set() -> None:
    request = invite()
    response = request.response(
        200,
        to_tag="far",
        headers=(
            ("Record-Route", "<sip:p2.example;lr>"),
            ("Record-Route", "<sip:p1.example;lr>"),
            ("Contact", "<sip:x@y>"),
        ),
    )
    dialog = Dialog.from_invite_sent(request, response)
    assert dialog.route_set == ("<sip:p1.example;lr>", "<sip:p2.example;lr>")
    assert dialog.state is DialogState.CONFIRMED
    assert dialog.request("BYE").cseq.number == 6
    assert dialog.ack(5).cseq == (5, "ACK")


def test_a_strict_router_finds_itself_in_the_request_uri() -> None:
    dialog = Dialog.from_invite_received(
        invite(("Record-Route", "<sip:strict.example>, <sip:p2.example;lr>")), "mine"
    )
    bye = dialog.request("BYE")
    assert str(bye.uri) == "sip:strict.example"
    assert bye.headers.lines("Route") == ["<sip:p2.example;lr>", f"<{TEAMS_CONTACT}>"]


def test_an_invite_without_contact_opens_no_dialog() -> None:
    request = invite()
    request.headers.remove("Contact")
    with pytest.raises(ParseError) as caught:
        Dialog.from_invite_received(request, "mine")
    assert caught.value.status == 400


def test_a_number_that_does_not_rise_gets_500_and_a_gap_is_fine() -> None:
    dialog = Dialog.from_invite_received(invite(), "mine")
    for number, status in ((5, 500), (4, 500), (6, None), (60, None), (59, 500)):
        request = invite()
        request.headers.replace("CSeq", f"{number} BYE")
        request.method = "BYE"
        assert dialog.check(request) == status, number


def test_only_target_refresh_requests_move_the_target() -> None:
    dialog = Dialog.from_invite_received(invite(), "mine")
    for method, moved in (("BYE", False), ("INFO", False), ("INVITE", True)):
        request = invite()
        request.method = method
        request.headers.replace("Contact", f"<sip:new@{method.lower()}.example>")
        dialog.refresh_target(request)
        assert (dialog.remote_target.host == f"{method.lower()}.example") is moved


def test_a_peer_without_tags_is_tolerated() -> None:
    """RFC 3261 §12.1.1: RFC 2543 peers send none."""
    request = invite()
    request.headers.replace("From", "<sip:old@192.0.2.1>")
    assert Dialog.from_invite_received(request, "mine").remote_tag is None
