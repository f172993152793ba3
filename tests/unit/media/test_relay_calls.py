"""The relay's commands, SDP and packet path, driven by hand."""

import base64
import re

import pytest

from tests.support.media_peers import HandRelay, Phone, keys, media_port, rtcp_packet, rtp_packet

KEY_A, KEY_B, KEY_C = (bytes([n]) * 30 for n in (1, 2, 3))
MUX = ["accept", "offer"]


@pytest.fixture
def relay():
    relay = HandRelay()
    yield relay
    relay.close()


@pytest.fixture
def phones():
    made: list[Phone] = []

    def make(**arguments) -> Phone:
        made.append(Phone(**arguments))
        return made[-1]

    yield make
    for phone in made:
        phone.close()


def offer(relay: HandRelay, sdp: bytes, protocol: str, *, mux=(), tags=("a", ""), call="c1") -> bytes:
    reply = relay.command(
        "offer",
        call_id=call,
        from_tag=tags[0],
        to_tag=tags[1],
        sdp=sdp,
        transport_protocol=protocol,
        rtcp_mux=list(mux),
    )
    assert reply["result"] == "ok", reply
    return reply["sdp"]


def answer(relay: HandRelay, sdp: bytes, *, tags=("a", "b"), call="c1") -> bytes:
    reply = relay.command("answer", call_id=call, from_tag=tags[0], to_tag=tags[1], sdp=sdp)
    assert reply["result"] == "ok", reply
    return reply["sdp"]


def connect(relay: HandRelay, a: Phone, b: Phone, *, mux=(), b_attributes=(), **answer_options) -> bytes:
    """Make a call from a to b; returns the offer that b saw."""
    offered = offer(relay, a.sdp(), "RTP/AVP" if b.key is None else "RTP/SAVP", mux=mux)
    b.takes(offered)
    a.takes(answer(relay, b.sdp(*b_attributes, **answer_options)))
    return offered


def through(relay: HandRelay, sender: Phone, receiver: Phone, packet: bytes) -> None:
    sender.send(packet)
    relay.pump()
    assert receiver.receive() == packet


def streams(relay: HandRelay) -> dict[str, dict[str, object]]:
    reply = relay.command("query", call_id="c1")
    return {str(item["from"]): item for item in reply["streams"]}


@pytest.mark.parametrize("keys_", [(None, None), (KEY_A, None), (None, KEY_B), (KEY_A, KEY_B)])
def test_audio_flows_both_ways_whatever_side_is_protected(relay, phones, keys_):
    a, b = phones(key=keys_[0]), phones(key=keys_[1])
    connect(relay, a, b)
    for seq in (65534, 65535, 0, 1):
        through(relay, a, b, rtp_packet(seq))
        through(relay, b, a, rtp_packet(seq, ssrc=9))
    assert streams(relay)["a"]["packets"] == streams(relay)["b"]["packets"] == 4


def test_the_offer_to_teams_has_our_address_one_key_and_nothing_of_the_peers(relay, phones):
    a = phones()
    written = offer(
        relay,
        a.sdp(
            "ice-ufrag:abcd",
            "candidate:1 1 UDP 1 192.0.2.99 9 typ host",
            "fingerprint:sha-256 AA",
            "setup:actpass",
            "mid:0",
            "ptime:20",
            "sendrecv",
        ),
        "RTP/SAVP",
        mux=MUX,
    ).decode()
    port = media_port(written.encode())
    assert re.fullmatch(
        "v=0\r\n"
        "o=- [0-9]+ 1 IN IP4 192.0.2.7\r\n"
        "s=-\r\n"
        "c=IN IP4 192.0.2.7\r\n"
        "t=0 0\r\n"
        f"m=audio {port} RTP/SAVP 8 101\r\n"
        "a=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\n"
        "a=ptime:20\r\n"
        "a=sendrecv\r\n"
        f"a=rtcp:{port + 1}\r\n"
        "a=rtcp-mux\r\n"
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:[A-Za-z0-9+/]{40}\r\n",
        written,
    )


def test_lines_that_do_not_concern_the_relay_pass_unchanged(relay, phones):
    a = phones()
    strange = ["x-unknown:1 2  3", "fmtp:101 0-16", "maxptime:150", "rtpmap:8 PCMA/8000"]
    written = offer(relay, a.sdp(*strange), "RTP/AVP").decode()
    for line in strange:
        assert f"a={line}\r\n" in written


def test_an_offers_tag_is_mirrored_and_the_long_suite_chosen(relay, phones):
    a, b = phones(key=KEY_A), phones()
    text = base64.b64encode(KEY_A).decode()
    lines = f"0 AES_CM_128_HMAC_SHA1_32 inline:{text}|2^31\r\na=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:{text}|2^31"
    b.takes(offer(relay, a.sdp(crypto=lines), "RTP/AVP"))
    answered = answer(relay, b.sdp())
    assert b"a=crypto:7 AES_CM_128_HMAC_SHA1_80 inline:" in answered
    a.takes(answered)
    through(relay, a, b, rtp_packet(1))
    through(relay, b, a, rtp_packet(1))


def test_ports_and_keys_stay_over_hold_and_resume_from_either_side(relay, phones):
    a, b = phones(key=KEY_A), phones(key=KEY_B)
    offered = connect(relay, a, b)
    first_answer = answer(relay, b.sdp())
    through(relay, b, a, rtp_packet(5))
    for direction in ("inactive", "sendonly", "sendrecv"):
        again = offer(relay, a.sdp(direction), "RTP/SAVP", tags=("a", "b"))
        assert (media_port(again), keys(again)) == (media_port(offered), keys(offered))
        answer(relay, b.sdp(direction))
    back = offer(relay, b.sdp("inactive"), "RTP/SAVP", tags=("b", "a"))
    assert (media_port(back), keys(back)) == (media_port(first_answer), keys(first_answer))
    answer(relay, a.sdp("inactive"), tags=("b", "a"))
    through(relay, b, a, rtp_packet(6))
    through(relay, a, b, rtp_packet(6))


def test_the_version_of_our_sdp_moves_only_when_it_changes(relay, phones):
    a = phones()
    first = offer(relay, a.sdp(), "RTP/AVP")
    assert offer(relay, a.sdp(), "RTP/AVP") == first
    changed = offer(relay, a.sdp("inactive"), "RTP/AVP")
    versions = [re.search(rb"o=- (\d+) (\d+)", sdp).groups() for sdp in (first, changed)]
    assert versions[0][0] == versions[1][0]
    assert (versions[0][1], versions[1][1]) == (b"1", b"2")


def test_extra_m_lines_are_kept_from_the_callee_and_refused_to_the_caller_in_order(relay, phones):
    a, b = phones(), phones()
    base = a.sdp().decode()
    head, audio = base[: base.index("m=")], base[base.index("m=") :]
    video = "m=video 5004 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
    image = "m=image 5006 udptl t38\r\n"
    offered = offer(relay, (head + video + audio + image).encode(), "RTP/AVP")
    assert offered.count(b"m=") == 1
    b.takes(offered)
    answered = answer(relay, b.sdp())
    assert re.findall(rb"m=\S+ (?:0 )?", answered) == [b"m=video 0 ", b"m=audio ", b"m=image 0 "]
    a.target = media_port(answered, 1)
    through(relay, a, b, rtp_packet(1))
    back = offer(relay, b.sdp("inactive"), "RTP/AVP", tags=("b", "a"))
    assert [media_port(back, n) == 0 for n in range(3)] == [True, False, True]


def test_rtcp_mux_on_one_side_only(relay, phones):
    a, b = phones(), phones(key=KEY_B)
    offered = connect(relay, a, b, mux=MUX, b_attributes=("rtcp-mux",))
    assert b"a=rtcp-mux" in offered
    a.send_rtcp(rtcp_packet(), muxed=False)
    relay.pump()
    assert b.receive_rtcp(muxed=True) == rtcp_packet()
    b.send_rtcp(rtcp_packet(9), muxed=True)
    relay.pump()
    assert a.receive_rtcp(muxed=False) == rtcp_packet(9)
    assert streams(relay)["b"]["packets"] == 0


def test_a_caller_that_multiplexes_is_answered_so_while_the_callee_is_not_asked(relay, phones):
    a, b = phones(), phones()
    offered = offer(relay, a.sdp("rtcp-mux"), "RTP/AVP", mux=["demux"])
    assert b"rtcp-mux" not in offered
    b.takes(offered)
    answered = answer(relay, b.sdp())
    assert b"a=rtcp-mux" in answered
    a.takes(answered)
    assert a.rtcp_target == a.target
    b.send_rtcp(rtcp_packet(9), muxed=False)
    relay.pump()
    assert a.receive_rtcp(muxed=True) == rtcp_packet(9)


def test_rtcp_mux_refused_once_is_not_offered_again(relay, phones):
    a, b = phones(), phones(key=KEY_B)
    assert b"rtcp-mux" in connect(relay, a, b, mux=MUX)
    assert b"rtcp-mux" not in offer(relay, a.sdp("inactive"), "RTP/SAVP", mux=MUX, tags=("a", "b"))


def test_a_peer_behind_nat_is_learned_once_and_a_thief_gets_nothing(relay, phones):
    a, b, nated, thief = phones(), phones(), phones(), phones()
    connect(relay, a, b)
    nated.target = thief.target = a.target
    through(relay, nated, b, rtp_packet(1))
    through(relay, b, nated, rtp_packet(1))
    thief.send(rtp_packet(2, ssrc=666))
    relay.pump()
    assert not b.waiting()
    through(relay, b, nated, rtp_packet(2))
    assert not thief.waiting()
    assert streams(relay)["a"]["strays"] == 1
    through(relay, a, b, rtp_packet(3))  # the named address is taken back
    through(relay, b, a, rtp_packet(3))
    relay.now += 5.1
    through(relay, nated, b, rtp_packet(4))  # after a silence


def test_with_srtp_only_authentic_packets_are_learned_from(relay, phones):
    a, b, thief = phones(key=KEY_A), phones(), phones()
    connect(relay, a, b)
    thief.target = a.target
    thief.send(rtp_packet(1))
    relay.pump()
    assert not b.waiting()
    through(relay, b, a, rtp_packet(1))
    assert streams(relay)["a"]["errors"] == 1


def test_an_unknown_payload_type_is_not_learned_from(relay, phones):
    a, b, thief = phones(), phones(), phones()
    connect(relay, a, b)
    thief.target = a.target
    thief.send(rtp_packet(1, kind=77))
    thief.send_rtcp(rtcp_packet(), muxed=True)
    relay.pump(2)
    assert streams(relay)["a"]["strays"] == 2
    through(relay, b, a, rtp_packet(1))


@pytest.mark.parametrize(
    "data", [b"", b"\x80", b"\x00" * 200, b"\x80\x08" + b"x" * 1950, b"\x80\xc8\x00\x01", b"\xff" * 40]
)
def test_a_bad_packet_is_counted_and_breaks_nothing(relay, phones, data):
    a, b = phones(key=KEY_A), phones(key=KEY_B)
    connect(relay, a, b)
    through(relay, a, b, rtp_packet(1))
    for sock, port in ((a.rtp, a.target), (a.rtcp, a.rtcp_target)):
        sock.sendto(data, ("127.0.0.1", port))
        relay.pump()
    assert streams(relay)["a"]["errors"] == 2
    assert not b.waiting()
    through(relay, a, b, rtp_packet(2))


def test_the_latest_answer_wins_and_a_former_fork_keeps_its_rollover(relay, phones):
    a, b, c = phones(), phones(key=KEY_B), phones(key=KEY_C, origin=2)
    offered = offer(relay, a.sdp(), "RTP/SAVP")
    b.takes(offered)
    c.takes(offered)
    a.takes(answer(relay, b.sdp()))
    for seq in (65535, 0):
        through(relay, b, a, rtp_packet(seq))
    answer(relay, c.sdp())
    b.send(rtp_packet(1))
    relay.pump()
    assert not a.waiting()
    through(relay, c, a, rtp_packet(1, ssrc=5))
    through(relay, a, c, rtp_packet(1))
    answer(relay, b.sdp())
    through(relay, b, a, rtp_packet(2))


def test_two_plain_forks_the_latest_answer_wins(relay, phones):
    a, b, c = phones(), phones(origin=2), phones(origin=3)
    offered = offer(relay, a.sdp(), "RTP/AVP")
    b.takes(offered)
    c.takes(offered)
    a.takes(answer(relay, b.sdp(), tags=("a", "b1")))
    through(relay, b, a, rtp_packet(1))
    answer(relay, c.sdp(), tags=("a", "b2"))
    through(relay, a, c, rtp_packet(1))
    through(relay, c, a, rtp_packet(1, ssrc=7))


def test_a_new_key_resets_the_rollover_and_the_same_key_does_not(relay, phones):
    a, b = phones(key=KEY_A), phones()
    connect(relay, a, b)
    for seq in (65535, 0):
        through(relay, a, b, rtp_packet(seq))
    offer(relay, b.sdp("inactive"), "RTP/SAVP", tags=("b", "a"))
    answer(relay, a.sdp(), tags=("b", "a"))
    through(relay, a, b, rtp_packet(1))
    offer(relay, b.sdp(), "RTP/SAVP", tags=("b", "a"))
    a.new_key(KEY_C)
    answer(relay, a.sdp(), tags=("b", "a"))
    through(relay, a, b, rtp_packet(2))


def test_before_the_answer_a_callee_that_is_protected_is_not_heard(relay, phones):
    a, b = phones(), phones(key=KEY_B)
    b.takes(offer(relay, a.sdp(), "RTP/SAVP"))
    b.send(rtp_packet(1))
    relay.pump()
    assert not a.waiting()
    a.takes(answer(relay, b.sdp()))
    through(relay, b, a, rtp_packet(2))


def test_old_style_hold_is_written_as_sendonly_with_our_address(relay, phones):
    a, b = phones(), phones()
    connect(relay, a, b)
    held = a.sdp("sendrecv").replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 0.0.0.0")
    written = offer(relay, held, "RTP/AVP", tags=("a", "b"))
    assert b"a=sendonly" in written
    assert b"sendrecv" not in written
    assert b"0.0.0.0" not in written
    through(relay, b, a, rtp_packet(1))


def test_ports_run_out_with_a_reason_and_come_back_after_the_rest(phones):
    relay = HandRelay(first=20200, last=20203)
    a = phones()
    offer(relay, a.sdp(), "RTP/AVP")
    refused = relay.command("offer", call_id="c2", from_tag="a", sdp=a.sdp())
    assert refused == {"result": "error", "error-reason": "no ports left"}
    assert relay.command("delete", call_id="c1", from_tag="a")["result"] == "ok"
    assert relay.command("offer", call_id="c2", from_tag="a", sdp=a.sdp())["result"] == "error"
    relay.now += 5.1
    assert relay.command("offer", call_id="c2", from_tag="a", sdp=a.sdp())["result"] == "ok"
    relay.close()


def test_a_silent_call_is_dropped_and_said_to_be(phones):
    relay = HandRelay(idle_s=60.0)
    a, b = phones(), phones()
    connect(relay, a, b)
    relay.now += 50
    through(relay, a, b, rtp_packet(1))
    relay.now += 50
    relay.commands.collect(relay.now)
    assert "expired" not in relay.command("query", call_id="c1")
    relay.now += 61
    relay.commands.collect(relay.now)
    reply = relay.command("query", call_id="c1")
    assert (reply["result"], reply["expired"], reply["streams"][0]["packets"]) == ("ok", 1, 1)
    assert relay.command("delete", call_id="c1", from_tag="a")["expired"] == 1
    assert relay.command("query", call_id="c1")["error-reason"] == "Unknown call-id"
    relay.close()


@pytest.mark.parametrize(
    ("sdp", "reason"),
    [
        (b"hello", "SDP has no m= line"),
        (b"v=0\r\nm=audio\r\n", "SDP has a bad m= line"),
        (b"v=0\r\nm=audio 99999 RTP/AVP 0\r\n", "SDP has a bad port"),
        (
            "v=0\r\nm=audio 5000 RTP/SAVP ² 0\r\na=rtpmap:² A/8000\r\na=rtcp:²\r\n".encode(),
            "SDP has no crypto",
        ),
        (b"v=0\r\nm=video 5000 RTP/AVP 96\r\n", "SDP has no audio that can be carried"),
        (b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio 5000 RTP/SAVP 0\r\n", "SDP has no crypto that can be used"),
        (b"v=0\r\nc=IN IP6 2001:db8::1\r\nm=audio 5000 RTP/AVP 0\r\n", "SDP address family"),
    ],
)
def test_sdp_that_cannot_be_carried_is_refused_with_the_reason_and_takes_no_port(relay, sdp, reason):
    reply = relay.command("offer", call_id="c1", from_tag="a", sdp=sdp)
    assert reply["result"] == "error"
    assert str(reply["error-reason"]).startswith(reason)
    assert relay.pool.in_use == 0


def test_an_answer_without_a_key_is_refused_and_the_call_goes_on(relay, phones):
    a, b = phones(), phones(key=KEY_B)
    offered = offer(relay, a.sdp(), "RTP/SAVP")
    plain = b.sdp(crypto="1 NULL inline:x")
    reply = relay.command("answer", call_id="c1", from_tag="a", to_tag="b", sdp=plain)
    assert reply["error-reason"] == "SDP answer has no crypto that can be used"
    b.takes(offered)
    a.takes(answer(relay, b.sdp()))
    through(relay, b, a, rtp_packet(1))


@pytest.mark.parametrize(
    "arguments",
    [{}, {"call_id": "x"}, {"call_id": "x", "from_tag": 3}, {"call_id": "x", "from_tag": "a", "sdp": [1]}],
)
@pytest.mark.parametrize("command", ["offer", "answer", "delete", "query", "nonsense"])
def test_incomplete_commands_are_answered(relay, command, arguments):
    assert relay.command(command, **arguments)["result"] in ("error", "ok")


def test_an_unknown_interface_is_refused(relay, phones):
    reply = relay.command(
        "offer", call_id="x", from_tag="a", sdp=phones().sdp(), direction=["default", "moon"]
    )
    assert reply["error-reason"] == "there is no interface 'moon'"


def test_deleting_what_is_not_there_is_no_error(relay):
    reply = relay.command("delete", call_id="nobody", from_tag="a")
    assert reply == {"result": "ok", "warning": "Unknown call-id", "streams": []}


def test_our_rollover_towards_a_peer_goes_on_over_a_re_offer(relay, phones):
    a, b = phones(), phones(key=KEY_B)
    connect(relay, a, b)
    for seq in (65535, 0):
        through(relay, a, b, rtp_packet(seq))
    offer(relay, a.sdp("inactive"), "RTP/SAVP", tags=("a", "b"))
    answer(relay, b.sdp("inactive"))
    through(relay, a, b, rtp_packet(1))


def test_another_party_at_the_same_address_is_learned_anew(relay, phones):
    a, b, nated, other = phones(), phones(), phones(), phones()
    connect(relay, a, b)
    nated.target = other.target = b.target
    through(relay, nated, a, rtp_packet(1))
    other.send(rtp_packet(1))
    relay.pump()
    assert not a.waiting()
    b.origin = 2
    answer(relay, b.sdp())
    through(relay, other, a, rtp_packet(2))
    through(relay, a, other, rtp_packet(2))


def test_m_lines_once_there_stay_when_a_later_offer_forgets_them(relay, phones):
    a, b = phones(), phones()
    offer(relay, a.sdp() + b"m=video 5004 RTP/AVP 96\r\n", "RTP/AVP")
    assert answer(relay, b.sdp()).count(b"m=") == 2
    offer(relay, a.sdp(), "RTP/AVP", tags=("a", "b"))
    assert answer(relay, b.sdp()).count(b"m=video 0 ") == 1


def test_ipv6_media_is_relayed_and_written(phones):
    relay = HandRelay(bind="::1")
    a, b = phones(host="::1"), phones(host="::1", key=KEY_B)
    offered = connect(relay, a, b)
    assert b"c=IN IP6 2001:db8::7\r\n" in offered
    through(relay, a, b, rtp_packet(1))
    through(relay, b, a, rtp_packet(1))
    relay.close()
