"""The gate: every INVITE is accepted with a place to go, or refused with status, word and sentence."""

from pathlib import Path

import pytest

from config import load_settings
from sbc.b2bua.border import Accepted, Refused
from sbc.gate import Gate
from sbc.guard import Admission, Limit
from sbc.routing import Router
from sbc.service import policies
from sbc.sip.auth import DigestClient, DigestServer
from sbc.sip.message import Request
from sbc.sip.uri import Uri
from sbc.trunks.trunk import Trunk
from tests.support.node import Node


class Nobody:
    def by_number(self, tenant, number):
        return None

    by_address = by_extension = by_id = by_number


class Ada(Nobody):
    class Found:
        person_id, name, number = "p", "Ada", "+14255550101"

    def by_extension(self, tenant, extension):
        return self.Found if extension == "2101" else None


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory):
    folder: Path = tmp_path_factory.mktemp("gate")
    node = Node(folder, trunk_extra='pass_headers = ["X-Ticket"]')
    return load_settings(node.config, {})


def gate(settings, limit: Limit | None = None, digests=None):
    trunks = {one.name: Trunk(one, settings) for one in settings.trunks}
    admission = Admission(limit or Limit(), {name: Limit() for name in trunks})
    return (
        Gate(trunks, Router(policies(settings), Ada()), admission, digests or {}, lambda: 100.0),
        trunks,
        admission,
    )


def invite(target: str = "2101", *headers: tuple[str, str]) -> Request:
    return Request(
        "INVITE",
        Uri.parse(f"sip:{target}@127.0.0.1"),
        (
            ("Via", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bK1"),
            ("From", '"Agent" <sip:+14255550190@127.0.0.1>;tag=a'),
            ("To", "<sip:x@y>"),
            ("Call-ID", "c"),
            ("CSeq", "1 INVITE"),
            *headers,
        ),
    )


def test_a_call_to_somebody_is_accepted_with_targets_and_one_hop_less(settings) -> None:
    made, trunks, _ = gate(settings, Limit(concurrent_calls=1))
    decision = made.decide(invite("2101", ("Max-Forwards", "10")), trunks["talkdesk"])
    assert isinstance(decision, Accepted)
    assert (decision.call.number, decision.call.max_forwards) == ("+14255550101", 9)
    assert decision.targets == trunks["teams"].targets
    second = made.decide(invite(), trunks["talkdesk"])
    assert isinstance(second, Refused)
    assert (second.status, second.code) == (503, "overload")
    assert dict(second.headers)["Retry-After"]
    decision.release()
    assert isinstance(made.decide(invite(), trunks["talkdesk"]), Accepted)


def test_used_up_max_forwards_is_483(settings) -> None:
    made, trunks, _ = gate(settings)
    decision = made.decide(invite("2101", ("Max-Forwards", "0")), trunks["talkdesk"])
    assert isinstance(decision, Refused)
    assert decision.status == 483


def test_a_draining_node_says_503_with_retry_after(settings) -> None:
    made, trunks, admission = gate(settings)
    admission.draining = True
    decision = made.decide(invite(), trunks["talkdesk"])
    assert isinstance(decision, Refused)
    assert (decision.status, decision.code) == (503, "draining")


def test_an_emergency_call_passes_draining_limits_shedding_and_digest(settings) -> None:
    digests = {"talkdesk": DigestServer("contoso", {}.get, b"s")}
    made, trunks, admission = gate(settings, Limit(concurrent_calls=0), digests)
    admission.draining = True
    for target in trunks["teams"].targets:
        trunks["teams"].health.shed(target, 100)
    decision = made.decide(invite("911"), trunks["talkdesk"])
    assert isinstance(decision, Accepted)
    assert decision.call.number == "911"
    assert decision.targets


def test_a_shedding_trunk_refuses_with_the_rest_of_its_time(settings) -> None:
    made, trunks, _ = gate(settings)
    trunks["teams"].health.clock = lambda: 100.0
    for target in trunks["teams"].targets:
        trunks["teams"].health.shed(target, 30)
    decision = made.decide(invite(), trunks["talkdesk"])
    assert isinstance(decision, Refused)
    assert (decision.status, decision.code, dict(decision.headers)["Retry-After"]) == (
        503,
        "trunk_shedding",
        "30",
    )


def test_a_trunk_that_demands_digest_is_challenged_and_believed(settings) -> None:
    server = DigestServer("contoso", {"agent": "s3cret"}.get, b"secret")
    made, trunks, _ = gate(settings, digests={"talkdesk": server})
    decision = made.decide(invite(), trunks["talkdesk"])
    assert isinstance(decision, Refused)
    assert decision.status == 401
    request = invite()
    challenge = request.response(401, headers=decision.headers)
    header = DigestClient("agent", "s3cret", cnonce=lambda: "x").answer(
        challenge, method="INVITE", uri=str(request.uri)
    )
    assert header is not None
    assert isinstance(made.decide(invite("2101", header), trunks["talkdesk"]), Accepted)


def test_only_the_headers_that_the_far_trunk_wants_are_passed(settings) -> None:
    made, trunks, _ = gate(settings)
    request = invite("+14255550190", ("X-Ticket", "7"), ("X-Secret", "no"))
    decision = made.decide(request, trunks["teams"])
    assert isinstance(decision, Accepted)
    assert decision.call.passed == (("X-Ticket", "7"),)
