"""What holds for all inputs: nothing a peer or client sends ends the relay, and the counters count."""

import contextlib

from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.media.bencode import decode, decode_dict, encode
from sbc.media.errors import MediaError, MediaProtocolError, UnusableSdp
from sbc.media.ng import Correlator
from sbc.media.relay import sdp
from sbc.media.relay.counters import Counters
from sbc.media.relay.crypto import parse_crypto
from sbc.media.relay.latch import Latch
from sbc.media.stats import call_stats
from tests.support.media_peers import HandRelay

values = st.recursive(
    st.binary(max_size=40) | st.integers(-(2**62), 2**62),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
bounded = settings(deadline=None, max_examples=200)

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 40000 RTP/SAVP 8 101\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\n"
    b"a=rtcp:40001 IN IP4 127.0.0.1\r\na=rtcp-mux\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd|2^31|1:1\r\n"
)


@bounded
@given(values)
def test_what_is_encoded_comes_back(value):
    assert decode(encode(value)) == value


@bounded
@given(st.binary(max_size=200) | st.text("dleix:0123456789-", max_size=60).map(str.encode))
def test_decoding_raises_the_packages_error_alone(data):
    with contextlib.suppress(MediaProtocolError):
        decode(data)


@bounded
@given(values, st.binary(max_size=60))
def test_no_reply_breaks_the_client(value, junk):
    ng = Correlator(lambda: "c", 1.0)
    ng.command("ping", {}, 0.0)
    received = ng.receive(b"c " + (encode(value) if isinstance(value, dict) else junk))
    assert received is not None
    call_stats(received[1], 0.0)
    call_stats({"streams": [value], "tags": {"a": value}, "SSRC": value}, 0.0)


@st.composite
def mutated_sdp(draw):
    data = bytearray(SDP)
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        cut = draw(st.integers(0, 12))
        data[at : at + cut] = draw(
            st.binary(max_size=8)
            | st.sampled_from([b"\r\n", b"m=audio ", b":", b" ", b"65536", "²".encode(), "٣".encode()])
        )
    return bytes(data)


@bounded
@given(mutated_sdp() | st.binary(max_size=120))
def test_no_sdp_breaks_the_reader(data):
    with contextlib.suppress(UnusableSdp):
        description = sdp.parse(data)
        for section in description.sections:
            assert all(0 <= number < 1000 for number in section.payload_types)
            assert all(rate > 0 for rate in section.clocks.values())
            assert 0 < sdp.rtcp_address(section, "h", section.port)[1] <= 65535
            sdp.is_held(description.address(section))


@bounded
@given(
    st.text(max_size=120)
    | st.from_regex(
        r"[0-9]{1,3} AES_CM_128_HMAC_SHA1_80 inline:[A-Za-z0-9+/=]{30,44}(\|[0-9^:]{1,9})*", fullmatch=True
    )
)
def test_no_crypto_line_breaks_the_reader(value):
    line = parse_crypto(value)
    assert line is None or len(line.key) == 30


@settings(deadline=None, max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["offer", "answer", "delete", "query"]),
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["a", "b", ""]),
            mutated_sdp() | st.just(SDP),
        ),
        max_size=12,
    )
)
def test_no_sequence_of_commands_breaks_the_relay_or_leaks_a_port(commands):
    relay = HandRelay(first=20400, last=20439)
    for name, one, other, data in commands:
        reply = relay.command(
            name,
            call_id="x",
            from_tag=one,
            to_tag=other,
            sdp=data,
            transport_protocol="RTP/SAVP",
            rtcp_mux=["offer"],
        )
        assert reply["result"] in ("ok", "error")
    relay.close()


@settings(deadline=None, max_examples=100)
@given(values)
def test_no_command_breaks_the_relay(value):
    relay = HandRelay(first=20440, last=20459)
    for name in (b"offer", b"answer", b"query", b"delete", b"list", b"statistics", b"ping"):
        command = {
            "command": name,
            "call-id": b"x",
            "from-tag": b"a",
            "sdp": value,
            "direction": value,
            "rtcp-mux": value,
        }
        reply = encode(relay.commands.execute(command, 0.0))
        assert decode_dict(reply)["result"] in (b"ok", b"error", b"pong")
    relay.close()


@bounded
@given(
    st.integers(0, 65535),
    st.lists(st.booleans(), min_size=1, max_size=400),
    st.randoms(use_true_random=False),
)
def test_loss_is_counted_whatever_small_reordering_does(first, kept, rng):
    kept[0] = kept[-1] = True
    sequence = [(first + n) & 0xFFFF for n, keep in enumerate(kept) if keep]
    middle = sequence[1:-1]
    for at in range(0, len(middle) - 1, 2):
        if rng.random() < 0.3:
            middle[at], middle[at + 1] = middle[at + 1], middle[at]
    counters = Counters()
    for seq in [sequence[0], *middle, *sequence[1:][-1:]]:
        counters.packets += 1
        if seq == counters.next_seq & 0xFFFF and counters.ssrc == 5:
            counters.next_seq += 1
        else:
            counters.out_of_step(5, seq)
    assert counters.lost == kept.count(False)
    assert counters.expected == len(kept)


@bounded
@given(st.lists(st.tuples(st.floats(0, 3), st.integers(1, 4)), max_size=40))
def test_while_media_flows_only_the_named_and_the_learned_source_are_ever_taken(packets):
    latch, named = Latch(5.0), ("192.0.2.1", 1)
    latch.name(named)
    now, learned = 0.0, None
    for wait, port in packets:
        now += wait
        source = ("192.0.2.1", port)
        if latch.admits(source, now):
            latch.move(source, now)
            if source != named:
                assert learned in (None, source)
                learned = source
        else:
            latch.heard_at = now  # the taken source goes on talking


def test_errors_all_have_what_a_refusal_needs():
    kinds = [MediaError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        error = kind("why")
        assert (error.status in (488, 503), bool(error.phrase), bool(error.code), str(error)) == (
            True,
            True,
            True,
            "why",
        )
