"""The transaction layer's own duties: matching, 100, CANCEL, merged requests, repeats of a 2xx, overload."""

import pytest

from sbc.sip.effects import RequestReceived, ResponseReceived, Send
from sbc.sip.message import Request
from sbc.sip.parser import parse_message
from sbc.sip.timers import Timers
from sbc.sip.transactions import TransactionLayer
from tests.support.two_layers import Wire, World

INVITE = (
    "INVITE sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={branch}\r\nFrom: <sip:a@192.0.2.1>;tag=a\r\n"
    "To: <sip:b@192.0.2.2>\r\nCall-ID: c1\r\nCSeq: 1 {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def message(branch: str, method: str = "INVITE") -> Request:
    text = INVITE.format(branch=branch, method=method).replace("INVITE sip", f"{method} sip", 1)
    parsed = parse_message(text.encode())
    assert isinstance(parsed, Request)
    return parsed


def layer(**options) -> TransactionLayer:
    return TransactionLayer(Timers(), branch=lambda: "z9hG4bKnew", tag=lambda: "mine", **options)


def sent(effects) -> list[str]:
    return [effect.message.start_line for effect in effects if isinstance(effect, Send)]


def test_an_invite_gets_100_at_once_and_a_repeat_gets_it_again() -> None:
    made, wire = layer(), Wire()
    first = made.receive(message("z9hG4bK1"), wire, 0.0)
    assert sent(first) == ["SIP/2.0 100 Trying"]
    assert any(isinstance(effect, RequestReceived) for effect in first)
    again = made.receive(message("z9hG4bK1"), wire, 0.1)
    assert sent(again) == ["SIP/2.0 100 Trying"]
    assert not any(isinstance(effect, RequestReceived) for effect in again)


def test_a_merged_request_gets_482() -> None:
    """RFC 3261 §8.2.2.2: the same request by another path."""
    made, wire = layer(), Wire()
    made.receive(message("z9hG4bK1"), wire, 0.0)
    assert sent(made.receive(message("z9hG4bK2"), wire, 0.0)) == ["SIP/2.0 482 Loop Detected"] or sent(
        made.receive(message("z9hG4bK3"), wire, 0.0)
    )[0].startswith("SIP/2.0 482")


def test_requests_of_rfc_2543_peers_are_matched_without_the_cookie() -> None:
    made, wire = layer(), Wire()
    made.receive(message("1"), wire, 0.0)
    assert not any(isinstance(effect, RequestReceived) for effect in made.receive(message("1"), wire, 0.0))


def test_a_cancel_for_nothing_gets_481() -> None:
    assert sent(layer().receive(message("z9hG4bK9", "CANCEL"), Wire(), 0.0))[0].startswith("SIP/2.0 481")


def test_too_many_requests_get_503() -> None:
    made, wire = layer(max_server_transactions=1), Wire()
    made.receive(message("z9hG4bK1"), wire, 0.0)
    other = message("z9hG4bK2")
    other.headers.replace("Call-ID", "c2")
    effects = made.receive(other, wire, 0.0)
    assert sent(effects) == ["SIP/2.0 503 Service Unavailable"]
    assert len(made) == 1


def test_a_cancel_waits_for_a_provisional_response() -> None:
    """RFC 3261 §9.1."""
    world = World(delay_s=1.0, transport="TCP")
    txn = world.send(world.invite())
    world.run_effects(0, world.sides[0].layer.cancel(txn, world.now))
    assert not [line for _, line in world.wire_log if line.startswith("CANCEL")]
    world.run(2.5)  # INVITE there, 100 back
    assert [line for _, line in world.wire_log if line.startswith("CANCEL")]
    world.run(10)
    assert [response.status for response in world.sides[0].finals] == [487]


def test_a_2xx_is_repeated_on_every_transport_until_its_ack() -> None:
    """RFC 3261 §13.3.1.4: at T1, doubling to T2."""
    made, wire = layer(), Wire("TLS")
    effects = made.receive(message("z9hG4bK1"), wire, 0.0)
    txn = next(effect.txn for effect in effects if isinstance(effect, RequestReceived))
    made.respond_until_acked(txn, txn.request.response(200, to_tag="b"), 0.0)
    times = []
    while len(times) < 5:
        due = made.next_timer()
        assert due is not None
        if sent(made.handle_timers(due)):
            times.append(due)
    assert times == [0.5, 1.5, 3.5, 7.5, 11.5]
    made.ack_received(txn)
    assert not sent(made.handle_timers(20.0))


def test_nothing_is_repeated_on_a_reliable_transport() -> None:
    world = World(transport="TLS")
    world.send(world.invite())
    world.send(world.invite("OPTIONS", 2))
    world.run(31.9)
    assert len([line for side, line in world.wire_log if side == 0]) == 2


def test_udp_requests_are_repeated_as_the_rfc_says() -> None:
    world = World(loss=1.0)
    world.send(world.invite("OPTIONS"))
    world.run(40)
    # §17.1.2.2: 0, 0.5, 1.5, 3.5, 7.5, then every 4 s until 32 s
    assert len(world.wire_log) == 11
    assert world.sides[0].failures == ["timeout"]


def test_a_response_to_nothing_is_an_anomaly_and_no_more() -> None:
    world = World()
    response = world.invite()
    response.headers.prepend("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKgone")
    effects = world.sides[0].layer.receive(response.response(200, to_tag="x"), world.sides[0].wire, 0.0)
    assert not any(isinstance(effect, ResponseReceived) for effect in effects)


@pytest.mark.parametrize("kind", ["INVITE", "OPTIONS"])
def test_a_lost_connection_fails_what_waits_on_it(kind: str) -> None:
    world = World(transport="TCP", delay_s=100)
    world.send(world.invite(kind))
    side = world.sides[0]
    world.run_effects(0, side.layer.flow_failed(side.wire, 1.0))
    assert side.failures == ["transport"]
    assert len(side.layer) == 0
