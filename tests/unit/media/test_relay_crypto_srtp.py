import base64

import pylibsrtp
import pytest

from sbc.media.relay import srtp
from sbc.media.relay.crypto import AES_32, AES_80, CryptoLine, choose_answered, choose_offered, parse_crypto
from sbc.media.relay.packet import MAX_PACKET, Packet
from sbc.media.relay.srtp import SrtpStream
from tests.support.media_peers import rtcp_packet, rtp_packet

KEY = bytes(range(30))
TEXT = base64.b64encode(KEY).decode()


@pytest.mark.parametrize(
    ("value", "line"),
    [
        (f"1 {AES_80} inline:{TEXT}", CryptoLine(1, AES_80, KEY)),
        (f"0 {AES_32} inline:{TEXT}|2^31", CryptoLine(0, AES_32, KEY)),
        (f"2 {AES_80} inline:{TEXT}|2^31|1:1", CryptoLine(2, AES_80, KEY, b"\x01")),
        (f"2 {AES_80} inline:{TEXT}|1048576|258:4", CryptoLine(2, AES_80, KEY, b"\x00\x00\x01\x02")),
        (f"1 {AES_80} inline:{TEXT}|1:1", CryptoLine(1, AES_80, KEY, b"\x01")),
        (f"1  {AES_80.lower()}  inline:{TEXT} ", CryptoLine(1, AES_80, KEY)),
        (f"1 {AES_80} inline:{TEXT};inline:{TEXT}|2^20|2:1", CryptoLine(1, AES_80, KEY)),
        (f"1 {AES_80} inline:{TEXT}|2^31 WSH=64 KDR=0", CryptoLine(1, AES_80, KEY)),
        (f"1 {AES_80} inline:{TEXT} UNENCRYPTED_SRTP", None),
        (f"1 {AES_80} inline:{TEXT} KDR=4", None),
        (f"1 AEAD_AES_256_GCM inline:{TEXT}", None),
        (f"1 {AES_80} inline:{TEXT[:-8]}", None),
        (f"1 {AES_80} inline:!!!!", None),
        (f"1 {AES_80} inline:{TEXT}|1:0", None),
        (f"1 {AES_80} inline:{TEXT}|999:1", None),
        (f"1 {AES_80} inline:{TEXT}|x:y", None),
        ("", None),
        ("1", None),
    ],
)
def test_crypto_lines_are_read_as_peers_write_them(value, line):
    assert parse_crypto(value) == line


def test_of_an_offer_the_long_tag_without_mki_is_chosen_whatever_the_order():
    offer = [
        "0 AEAD_AES_128_GCM inline:AAAA",
        f"1 {AES_32} inline:{TEXT}",
        f"2 {AES_80} inline:{TEXT}|2^31|1:1",
        f"3 {AES_80} inline:{TEXT}|2^31",
    ]
    assert [choose_offered(offer[:n]) and choose_offered(offer[:n]).tag for n in range(1, 5)] == [
        None,
        1,
        2,
        3,
    ]


def test_of_an_answer_the_line_that_answers_ours_is_chosen():
    answer = [f"5 {AES_80} inline:{TEXT}", f"1 {AES_80} inline:{TEXT}|2^31|1:1", f"1 {AES_32} inline:{TEXT}"]
    chosen = choose_answered(answer, 1, AES_80)
    assert chosen is not None
    assert (chosen.tag, chosen.suite) == (1, AES_80)
    only_short = choose_answered(answer[2:], 1, AES_80)
    assert only_short is not None
    assert only_short.suite == AES_32


def session(*, inbound: bool, suite: str = AES_80) -> pylibsrtp.Session:
    profiles = {
        AES_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
        AES_32: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    }
    kind = pylibsrtp.Policy.SSRC_ANY_INBOUND if inbound else pylibsrtp.Policy.SSRC_ANY_OUTBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(key=KEY, ssrc_type=kind, srtp_profile=profiles[suite]))


def load(packet: Packet, data: bytes) -> int:
    packet.buffer[: len(data)] = data
    return len(data)


@pytest.fixture(params=["in place", "by copy"])
def way(request, monkeypatch):
    if request.param == "by copy":
        monkeypatch.setattr(srtp, "_binding", lambda _session: None)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("suite", [AES_80, AES_32])
def test_both_ways_protect_and_unprotect_in_the_buffer(suite):
    packet = Packet()
    out = SrtpStream(CryptoLine(1, suite, KEY), packet, inbound=False)
    into = SrtpStream(CryptoLine(1, suite, KEY), packet, inbound=True)
    peer_in, peer_out = session(inbound=True, suite=suite), session(inbound=False, suite=suite)
    plain, report = rtp_packet(7), rtcp_packet()
    assert peer_in.unprotect(bytes(packet.views[out.rtp(load(packet, plain))])) == plain
    assert peer_in.unprotect_rtcp(bytes(packet.views[out.rtcp(load(packet, report))])) == report
    assert bytes(packet.views[into.rtp(load(packet, peer_out.protect(plain)))]) == plain
    assert bytes(packet.views[into.rtcp(load(packet, peer_out.protect_rtcp(report)))]) == report


@pytest.mark.usefixtures("way")
def test_what_is_not_authentic_or_was_seen_is_refused_and_breaks_nothing():
    packet = Packet()
    into = SrtpStream(CryptoLine(1, AES_80, KEY), packet, inbound=True)
    peer = session(inbound=False)
    good = peer.protect(rtp_packet(1))
    forged = bytes([*good[:-1], good[-1] ^ 1])
    assert into.rtp(load(packet, forged)) == -1
    assert into.rtp(load(packet, good)) == len(rtp_packet(1))
    assert into.rtp(load(packet, good)) == -1
    assert into.rtp(load(packet, b"")) == -1
    assert into.rtcp(load(packet, b"\x80\xc8")) == -1
    assert into.rtp(load(packet, peer.protect(rtp_packet(2)))) == len(rtp_packet(2))


def test_the_longest_packet_has_room_for_its_tag():
    packet = Packet()
    out = SrtpStream(CryptoLine(1, AES_80, KEY), packet, inbound=False)
    assert out.rtp(load(packet, rtp_packet(1, payload=bytes(MAX_PACKET - 12)))) == MAX_PACKET + 10


def with_mki(protected: bytes, mki: bytes, tag: int) -> bytes:
    return protected[:-tag] + mki + protected[-tag:]


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("mki", [b"\x01", b"\x00\x00\x00\x07"])
def test_an_announced_mki_is_taken_out_when_it_is_there_and_not_missed_when_it_is_not(mki):
    packet = Packet()
    into = SrtpStream(CryptoLine(1, AES_80, KEY, mki), packet, inbound=True)
    peer = session(inbound=False)
    for seq in range(600):  # some payloads happen to have the MKI's octet where it would stand
        plain = rtp_packet(seq, payload=bytes([seq % 256] * 20))
        data = peer.protect(plain)
        wire = with_mki(data, mki, 10) if seq % 2 else data
        assert bytes(packet.views[into.rtp(load(packet, wire))]) == plain
    report = rtcp_packet()
    assert (
        bytes(packet.views[into.rtcp(load(packet, with_mki(peer.protect_rtcp(report), mki, 10)))]) == report
    )
    assert into.rtp(load(packet, b"\x80")) == -1
