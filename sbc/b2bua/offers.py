"""What happens to session descriptions on their way between the legs, apart from the media engine's part.

Pure functions over SDP: shaping an offer for the trunk it goes to, making one for a caller that brought none, and telling a
refresh from a change.
"""

from __future__ import annotations

from dataclasses import dataclass

from sbc.sip.errors import ParseError
from sbc.sip.sdp import SessionDescription

STATIC_ENCODINGS = {"0": "PCMU", "3": "GSM", "4": "G723", "8": "PCMA", "9": "G722", "13": "CN", "18": "G729"}
"""Payload types that need no rtpmap (RFC 3551 §6)."""
ALWAYS_KEPT = frozenset(["telephone-event", "cn"])


@dataclass(frozen=True, slots=True)
class OfferShape:
    """How a trunk wants its offers."""

    hold_is_inactive: bool = False
    """Teams understands no hold but ``inactive`` (Direct Routing, RFC page)."""
    codecs: tuple[str, ...] = ()
    """Encodings to offer, best first; empty passes all. Telephone events and comfort noise always pass."""
    audio_only: bool = False
    """Reject every section but the first audio one."""


def shape(sdp: bytes, wanted: OfferShape) -> bytes:
    """Shape an offer for a trunk; raises ParseError (488) when nothing of it would be left."""
    session = SessionDescription.parse(sdp)
    audio = session.audio
    if audio is None:
        raise ParseError("No audio offered", status=488)
    direction = session.direction(audio)
    if session.address(audio) in ("0.0.0.0", "::"):  # noqa: S104 - RFC 2543 hold, not a bind
        direction = "inactive"
    if wanted.hold_is_inactive and direction != "sendrecv":
        direction = "inactive"
    session.session.lines[:] = [
        line
        for line in session.session.lines
        if line not in ("a=sendonly", "a=recvonly", "a=inactive", "a=sendrecv")
    ]
    audio.direction = direction
    if audio.duplicate_formats:
        audio.keep_formats(dict.fromkeys(audio.formats))
    if wanted.codecs:
        kept = _chosen(audio.formats, audio.rtpmaps, wanted.codecs)
        if not any(_encoding(number, audio.rtpmaps) not in ALWAYS_KEPT for number in kept):
            raise ParseError("No codec in common", status=488)
        audio.keep_formats(kept)
    return session.encode()


def _encoding(number: str, rtpmaps: dict[str, str]) -> str:
    return (rtpmaps.get(number) or STATIC_ENCODINGS.get(number, "")).partition("/")[0].lower()


def _chosen(formats: tuple[str, ...], rtpmaps: dict[str, str], codecs: tuple[str, ...]) -> tuple[str, ...]:
    rank = {name.lower(): position for position, name in enumerate(codecs)}
    named = [(rank[name], number) for number in formats if (name := _encoding(number, rtpmaps)) in rank]
    extra = [
        number
        for number in formats
        if _encoding(number, rtpmaps) in ALWAYS_KEPT and _encoding(number, rtpmaps) not in rank
    ]
    return tuple(number for _, number in sorted(named, key=lambda item: item[0])) + tuple(extra)


def for_offerless(host: str) -> bytes:
    """Make the offer for a caller whose INVITE brought none: the hub never gets an INVITE without one.

    ``host`` is where the caller's signalling comes from; its real media address arrives with its answer, in the ACK.
    """
    family = 6 if ":" in host else 4
    lines = (
        "v=0",
        f"o=- 0 0 IN IP{family} {host}",
        "s=-",
        f"c=IN IP{family} {host}",
        "t=0 0",
        "m=audio 9 RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=ptime:20",
        "a=sendrecv",
        "",
    )
    return "\r\n".join(lines).encode()


def again(sdp: bytes) -> bytes:
    """Offer once more what we last sent, ready to talk: the answer to a re-INVITE that asks us for an offer."""
    session = SessionDescription.parse(sdp)
    session.bump_version()
    for media in session.media:
        if media.port:
            media.direction = "sendrecv"
    return session.encode()


def unchanged(before: bytes, now: bytes) -> bool:
    """Tell whether a new offer asks for what is already agreed: a refresh."""
    if before == now:
        return True
    try:
        return SessionDescription.parse(now).same_media_as(SessionDescription.parse(before))
    except ParseError:
        return False
