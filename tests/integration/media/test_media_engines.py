"""What both engines promise: the same tests on the embedded relay and on rtpengine."""

import asyncio
import re
import time

import pytest

from sbc.media import CallStats, MediaError, UnknownCall
from sbc.media.client import NgClient
from sbc.media.profiles import media_profile
from tests.support.media_peers import Phone, keys, media_port, rtcp_packet, rtp_packet

RTP, TEAMS, SRTP = (media_profile(name) for name in ("rtp", "teams", "srtp"))
KEY_A, KEY_B = bytes(range(30)), bytes(range(30, 60))


async def connect(
    engine: NgClient, a: Phone, b: Phone, *, profile_a=RTP, profile_b=TEAMS, **options
) -> bytes:
    offered = await engine.offer("call", "a", a.sdp(), towards=profile_b, received_on=profile_a, to_tag="b")
    b.takes(offered)
    answered = await engine.answer(
        "call", "a", "b", b.sdp(**options), towards=profile_a, received_on=profile_b
    )
    a.takes(answered)
    return offered


async def until(engine: NgClient, packets: int) -> CallStats:
    """Return the statistics once that many packets are counted."""
    limit = time.monotonic() + 3
    while (stats := await engine.query("call")).packets < packets:
        assert time.monotonic() < limit, stats
        await asyncio.sleep(0.02)
    return stats


@pytest.mark.parametrize(
    ("profiles", "key_pair"),
    [
        ((RTP, RTP), (None, None)),
        ((RTP, TEAMS), (None, KEY_B)),
        ((TEAMS, RTP), (KEY_A, None)),
        ((SRTP, TEAMS), (KEY_A, KEY_B)),
    ],
    ids=["rtp-rtp", "rtp-teams", "teams-rtp", "srtp-teams"],
)
async def test_audio_and_reports_flow_both_ways_and_are_counted(engine, phones, profiles, key_pair):
    a, b = phones(key=key_pair[0]), phones(key=key_pair[1])
    await connect(engine, a, b, profile_a=profiles[0], profile_b=profiles[1])
    for seq in range(10):
        a.send(rtp_packet(seq, seq * 160, ssrc=1))
        assert b.receive() == rtp_packet(seq, seq * 160, ssrc=1)
        b.send(rtp_packet(seq, seq * 160, ssrc=2))
        assert a.receive() == rtp_packet(seq, seq * 160, ssrc=2)
    a.send_rtcp(rtcp_packet(1), muxed=False)
    assert b.receive_rtcp(muxed=False)[:8] == rtcp_packet(1)[:8]
    stats = await until(engine, 20)
    assert stats.flowed("a", "b")
    assert stats.flowed("b", "a")
    final = await engine.delete("call", "a")
    assert final.packets == 20
    assert final.octets >= 20 * 172
    assert final.lost == 0
    assert all(s.last_packet_age_s is not None and s.last_packet_age_s < 10 for s in final.streams)


async def test_silence_one_way_is_seen_in_the_statistics(engine, phones):
    a, b = phones(), phones(key=KEY_B)
    await connect(engine, a, b)
    a.send(rtp_packet(1))
    b.receive()
    stats = await until(engine, 1)
    assert stats.flowed("a", "b")
    assert not stats.flowed("b", "a")


async def test_teams_gets_exactly_one_key_mux_and_no_ice(engine, phones):
    a = phones()
    offered = await engine.offer(
        "call",
        "a",
        a.sdp("ice-ufrag:ab", "candidate:1 1 UDP 1 192.0.2.9 9 typ host"),
        towards=TEAMS,
        received_on=RTP,
    )
    assert re.findall(rb"a=crypto:\d+ (\S+)", offered) == [b"AES_CM_128_HMAC_SHA1_80"]
    assert b"RTP/SAVP " in offered
    assert b"a=rtcp-mux" in offered
    assert not re.search(rb"candidate|ice-|fingerprint|setup", offered)


async def test_hold_and_resume_keep_ports_and_keys(engine, phones):
    a, b = phones(), phones(key=KEY_B)
    offered = await connect(engine, a, b)
    for direction in ("inactive", "sendrecv"):
        again = await engine.offer("call", "a", a.sdp(direction), towards=TEAMS, received_on=RTP, to_tag="b")
        assert (media_port(again), keys(again)) == (media_port(offered), keys(offered))
        assert f"a={direction}".encode() in again
        await engine.answer("call", "a", "b", b.sdp(direction), towards=RTP, received_on=TEAMS)
    back = await engine.offer("call", "b", b.sdp("inactive"), towards=RTP, received_on=TEAMS, to_tag="a")
    assert media_port(back) == a.target
    answered = await engine.answer("call", "b", "a", a.sdp("inactive"), towards=TEAMS, received_on=RTP)
    assert (media_port(answered), keys(answered)) == (media_port(offered), keys(offered))
    b.send(rtp_packet(1))
    assert a.receive() == rtp_packet(1)
    a.send(rtp_packet(1))
    assert b.receive() == rtp_packet(1)


async def test_a_call_that_is_not_there_is_said_to_be_so(engine, phones):
    with pytest.raises(UnknownCall):
        await engine.answer("nobody", "a", "b", phones().sdp(), towards=RTP, received_on=RTP)
    with pytest.raises(UnknownCall):
        await engine.query("nobody")


async def test_what_is_not_sdp_is_refused_and_the_engine_goes_on(engine):
    with pytest.raises(MediaError):
        await engine.offer("call", "a", b"this is not SDP", towards=TEAMS, received_on=RTP)
    await engine.ping()


async def test_many_commands_at_once_find_their_answers(engine, phones):
    a = phones()
    offers = await asyncio.gather(
        *(engine.offer(f"call-{n}", "a", a.sdp(), towards=RTP, received_on=RTP) for n in range(20))
    )
    assert len({media_port(sdp) for sdp in offers}) == 20
    assert len(engine.calls) == 20
    await asyncio.gather(*(engine.delete(f"call-{n}", "a") for n in range(20)))
    assert not engine.calls
