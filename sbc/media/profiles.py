"""The media profiles, as data, and the NG flags that they mean.

Not here: header and codec rules of a trunk, which are its signalling profile. The flags are those of
rtpengine's NG protocol; the embedded relay reads the same ones. Sources: RFC 4568 (SDES), RFC 5761
(rtcp-mux), Microsoft's Direct Routing media pages.
"""

from __future__ import annotations

from dataclasses import replace

from sbc.media.engine import MediaProfile

AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"

# Teams: SRTP compulsory, only _80 (its _32 is legacy), rtcp-mux spoken both ways and never changed mid-call,
# no ICE without bypass.
PROFILES: dict[str, MediaProfile] = {
    profile.name: profile
    for profile in (
        MediaProfile("teams", "RTP/SAVP", (AES_CM_128_HMAC_SHA1_80,), "offer"),
        MediaProfile("rtp", "RTP/AVP"),
        MediaProfile("srtp", "RTP/SAVP", (AES_CM_128_HMAC_SHA1_80,)),
    )
}

# Every suite that rtpengine 10 knows. It takes no list of wanted suites, only of unwanted ones.
_RTPENGINE_SUITES = (
    "AEAD_AES_256_GCM",
    "AEAD_AES_128_GCM",
    "AES_256_CM_HMAC_SHA1_80",
    "AES_256_CM_HMAC_SHA1_32",
    "AES_192_CM_HMAC_SHA1_80",
    "AES_192_CM_HMAC_SHA1_32",
    AES_CM_128_HMAC_SHA1_80,
    "AES_CM_128_HMAC_SHA1_32",
    "F8_128_HMAC_SHA1_80",
    "F8_128_HMAC_SHA1_32",
    "NULL_HMAC_SHA1_80",
    "NULL_HMAC_SHA1_32",
)


def media_profile(name: str, *, interface: str | None = None) -> MediaProfile:
    """Return the profile of that name, on an interface of the engine; KeyError for a name not in `PROFILES`."""
    profile = PROFILES[name]
    return profile if interface is None else replace(profile, interface=interface)


def ng_flags(towards: MediaProfile, received_on: MediaProfile, *, offer: bool) -> dict[str, object]:
    """Return the NG flags that turn SDP received on one trunk into SDP for the other."""
    flags: dict[str, object] = {
        "ICE": "remove",
        "DTLS": "off",
        "transport-protocol": towards.protocol,
        "replace": ["origin", "session-connection", "session-name"],
        "rtcp-mux": _mux(towards, received_on, offer=offer),
    }
    if towards.suites and offer:
        flags["SDES"] = [f"no-{suite}" for suite in _RTPENGINE_SUITES if suite not in towards.suites]
    if offer and (towards.interface is not None or received_on.interface is not None):
        flags["direction"] = [received_on.interface or "default", towards.interface or "default"]
    return flags


def _mux(towards: MediaProfile, received_on: MediaProfile, *, offer: bool) -> list[str]:
    """Say what becomes of the sender's rtcp-mux, and whether the other side is offered it."""
    if not offer:
        return []
    offered = towards.rtcp_mux == "offer"
    if received_on.rtcp_mux == "never":
        return ["reject", "offer"] if offered else ["reject"]
    return ["accept", "offer"] if offered else ["demux"]
