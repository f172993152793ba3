"""Session descriptions give back what nobody changed, and say what matters of the rest."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.b2bua.offers import OfferShape, again, for_offerless, shape, unchanged
from sbc.sip.errors import ParseError
from sbc.sip.sdp import SessionDescription, answer_direction
from sbc.sip.sdp_crypto import Crypto

KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"
TEAMS = (
    "v=0\r\no=- 2 1 IN IP4 127.0.0.1\r\ns=session\r\nc=IN IP4 203.0.113.7\r\nb=CT:10000000\r\nt=0 0\r\n"
    "m=audio 53410 RTP/SAVP 104 9 103 111 18 0 8 97 101 13 118\r\na=rtcp:53411\r\na=label:Audio\r\n"
    "a=rtpmap:104 SILK/16000\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:13 CN/8000\r\na=rtpmap:118 CN/16000\r\na=fmtp:101 0-16\r\n"
    f"a=crypto:0 AES_CM_128_HMAC_SHA1_32 inline:{KEY}|2^31\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^31|1:1\r\n"
    "a=x-unheard-of:ä\r\na=ptime:20\r\na=sendrecv\r\n"
).encode()


def test_what_nobody_changed_comes_back_byte_for_byte() -> None:
    assert SessionDescription.parse(TEAMS).encode() == TEAMS


def test_the_keys_of_teams_are_read() -> None:
    audio = SessionDescription.parse(TEAMS).audio
    assert audio is not None
    first, second = audio.cryptos
    assert (first.tag, first.suite, first.lifetime, first.mki) == (
        0,
        "AES_CM_128_HMAC_SHA1_32",
        1 << 31,
        None,
    )
    assert (second.tag, second.mki, len(second.key_salt)) == (1, (1, 1), 30)
    assert audio.rtcp == (53411, None)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1",
        "x AES inline:AAAA",
        "1 AES_CM_128_HMAC_SHA1_80 inline:!!!",
        f"1 A inline:{KEY}|2^x",
        f"1 A inline:{KEY}|1:0",
    ],
)
def test_an_unreadable_key_is_refused_with_488(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        Crypto.parse(text)
    assert caught.value.status == 488


def test_a_key_is_written_as_it_is_read() -> None:
    assert Crypto.parse(str(Crypto(3, "AES_CM_128_HMAC_SHA1_80", bytes(30), 1 << 20, (7, 4)))).mki == (7, 4)


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_arbitrary_bytes_raise_nothing_else(data: bytes) -> None:
    for attempt in (data, b"v=0\r\n" + data, TEAMS + data):
        try:
            session = SessionDescription.parse(attempt)
            session.encode()
            audio = session.audio
            if audio is not None:
                _ = audio.cryptos, audio.rtcp, audio.rtpmaps, session.is_held
        except ParseError:
            pass


@pytest.mark.parametrize(
    ("before", "after"),
    [("sendonly", "inactive"), ("recvonly", "inactive"), ("inactive", "inactive"), ("sendrecv", "sendrecv")],
)
def test_every_hold_becomes_inactive_for_teams(before: str, after: str) -> None:
    offer = TEAMS.replace(b"a=sendrecv", f"a={before}".encode())
    shaped = SessionDescription.parse(shape(offer, OfferShape(hold_is_inactive=True)))
    assert shaped.audio is not None
    assert shaped.direction(shaped.audio) == after


def test_the_old_hold_is_understood() -> None:
    offer = TEAMS.replace(b"c=IN IP4 203.0.113.7", b"c=IN IP4 0.0.0.0")
    assert SessionDescription.parse(offer).is_held
    assert b"a=inactive" in shape(offer, OfferShape())


def test_codecs_are_kept_and_ordered_as_the_trunk_wants_them() -> None:
    shaped = SessionDescription.parse(shape(TEAMS, OfferShape(codecs=("PCMA", "PCMU"))))
    assert shaped.audio is not None
    assert shaped.audio.formats == ("8", "0", "101", "13", "118")
    assert b"SILK" not in shaped.encode()


def test_no_codec_in_common_is_488() -> None:
    with pytest.raises(ParseError) as caught:
        shape(TEAMS, OfferShape(codecs=("opus",)))
    assert caught.value.status == 488


def test_a_payload_type_listed_twice_is_offered_once() -> None:
    offer = TEAMS.replace(b"104 9 103", b"104 9 9 103")
    audio = SessionDescription.parse(shape(offer, OfferShape())).audio
    assert audio is not None
    assert audio.formats.count("9") == 1


def test_a_refresh_is_told_from_a_change() -> None:
    refresh = TEAMS.replace(b"o=- 2 1 ", b"o=- 2 7 ")
    assert unchanged(TEAMS, refresh)
    assert not unchanged(TEAMS, TEAMS.replace(b"sendrecv", b"inactive"))
    assert not unchanged(TEAMS, TEAMS.replace(b"53410", b"53412"))
    assert not unchanged(TEAMS, b"nonsense")


def test_offering_again_raises_the_version_and_resumes() -> None:
    session = SessionDescription.parse(again(TEAMS.replace(b"sendrecv", b"inactive")))
    assert session.origin is not None
    assert session.origin[2] == 2
    assert session.audio is not None
    assert session.direction(session.audio) == "sendrecv"


def test_an_offer_of_our_own_is_a_session_description() -> None:
    for host in ("192.0.2.1", "2001:db8::1"):
        session = SessionDescription.parse(for_offerless(host))
        assert session.audio is not None
        assert session.address(session.audio) == host


@pytest.mark.parametrize(
    ("offered", "wanted", "answer"),
    [("sendonly", "sendrecv", "recvonly"), ("recvonly", "sendrecv", "sendonly"), ("inactive", "sendrecv", "inactive"), ("sendrecv", "inactive", "inactive"), ("sendrecv", "sendrecv", "sendrecv"), ("sendonly", "sendonly", "inactive")],
)  # fmt: skip
def test_answers_follow_rfc_3264(offered: str, wanted: str, answer: str) -> None:
    assert answer_direction(offered, wanted) == answer
