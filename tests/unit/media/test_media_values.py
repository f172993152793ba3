import pytest

from sbc.media import CallStats, StreamStats
from sbc.media.errors import NoPortsLeft
from sbc.media.profiles import PROFILES, media_profile, ng_flags
from sbc.media.relay.mos import mos, r_factor
from sbc.media.relay.ports import PortPool
from sbc.media.stats import call_stats


def test_statistics_of_both_directions_add_up_and_the_worse_quality_counts():
    stats = CallStats(
        (
            StreamStats("a", "b", packets=10, octets=100, lost=1, jitter_ms=2.0, mos=4.3),
            StreamStats("b", "a", packets=0, octets=0, lost=2, jitter_ms=9.0, mos=3.1),
        )
    )
    assert (stats.packets, stats.octets, stats.lost, stats.jitter_ms, stats.mos) == (10, 100, 3, 9.0, 3.1)
    assert stats.flowed("a", "b")
    assert not stats.flowed("b", "a")


def test_without_streams_nothing_is_known():
    assert CallStats().jitter_ms is None
    assert CallStats().mos is None
    assert not CallStats().flowed("a", "b")


def test_teams_is_offered_srtp_with_one_suite_and_rtcp_mux_without_ice():
    flags = ng_flags(media_profile("teams"), media_profile("rtp"), offer=True)
    assert flags["transport-protocol"] == "RTP/SAVP"
    assert flags["ICE"] == "remove"
    assert flags["DTLS"] == "off"
    assert flags["rtcp-mux"] == ["accept", "offer"]
    assert "no-AES_CM_128_HMAC_SHA1_32" in flags["SDES"]
    assert "no-AES_CM_128_HMAC_SHA1_80" not in flags["SDES"]


def test_plain_rtp_is_offered_no_keys_and_no_mux():
    flags = ng_flags(media_profile("rtp"), media_profile("teams"), offer=True)
    assert flags["transport-protocol"] == "RTP/AVP"
    assert flags["rtcp-mux"] == ["demux"]
    assert "SDES" not in flags


def test_a_profile_on_an_interface_names_both_sides():
    flags = ng_flags(media_profile("teams", interface="public"), media_profile("rtp"), offer=True)
    assert flags["direction"] == ["default", "public"]
    assert "direction" not in ng_flags(PROFILES["teams"], PROFILES["rtp"], offer=True)


def test_a_released_pair_rests_before_it_is_used_again():
    pool = PortPool(30000, 30003, 5.0, lambda _: None)
    assert (pool.take(0.0), pool.take(0.0)) == (30000, 30002)
    with pytest.raises(NoPortsLeft):
        pool.take(0.0)
    pool.release(30000, 1.0)
    with pytest.raises(NoPortsLeft):
        pool.take(5.9)
    assert pool.take(6.0) == 30000
    assert pool.in_use == 2


@pytest.mark.parametrize(
    ("first", "last", "ports"), [(30001, 30004, [30002]), (30000, 30002, [30000]), (30000, 30001, [30000])]
)
def test_pairs_are_even_and_stay_within_the_range(first, last, ports):
    pool = PortPool(first, last, 5.0, lambda _: None)
    assert [pool.take(0.0) for _ in range(pool.size)] == ports


def test_the_e_model_says_what_g_107_says():
    assert mos(93.2) == pytest.approx(4.41, abs=0.01)
    assert mos(50.0) == pytest.approx(2.58, abs=0.01)
    assert (mos(0.0), mos(120.0)) == (1.0, 4.5)


def test_loss_jitter_and_codec_lower_the_rating():
    clean = r_factor(0, 1000, 0.0, 8)
    assert clean == pytest.approx(92.2, abs=0.1)
    assert clean > r_factor(10, 1000, 0.0, 8) > r_factor(100, 1000, 0.0, 8) > 0
    assert clean > r_factor(0, 1000, 100.0, 8)
    assert clean > r_factor(0, 1000, 0.0, 18)
    assert r_factor(0, 0, 0.0, -1) == pytest.approx(clean)


def test_the_tree_of_rtpengine_is_read():
    leg = {
        "subscribers": [{"tag": b"b"}],
        "medias": [
            {
                "streams": [
                    {
                        "flags": [b"RTP", b"filled"],
                        "stats": {"packets": 5, "bytes": 860, "errors": 1},
                        "SSRC": 77,
                        "last packet": 100,
                    },
                    {"flags": [b"RTCP"], "stats": {"packets": 9, "bytes": 9}},
                ]
            }
        ],
    }
    reports = {"77": {"cumulative loss": 3, "average MOS": {"MOS": 43, "jitter": 2}}}
    stats = call_stats({"result": b"ok", "tags": {"a": leg}, "SSRC": reports}, 101.5)
    assert stats.streams == (
        StreamStats("a", "b", 5, 860, lost=3, jitter_ms=2.0, mos=4.3, last_packet_age_s=1.5, errors=1),
    )


@pytest.mark.parametrize(
    "reply",
    [{}, {"tags": 1}, {"tags": {"a": []}}, {"tags": {"a": {"medias": [1]}}}, {"streams": [1]}, {"SSRC": []}],
)
def test_statistics_of_a_strange_shape_are_empty(reply):
    assert call_stats(reply, 0.0).streams == ()
