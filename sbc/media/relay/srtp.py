"""SRTP for packets in the relay's buffer, through libsrtp (RFC 3711), and the MKI that libsrtp's binding leaves out.

Not here: keys' negotiation (`crypto`). pylibsrtp's public methods copy each packet twice and allocate for each call;
the binding's own functions work in place at a third of the cost, so they are used when they are there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pylibsrtp

from sbc.media.relay.crypto import CryptoLine
from sbc.media.relay.packet import Packet

Transform = Callable[[int], int]
"""Transforms the first n octets of the packet in place; returns the new length, or -1 when refused."""

_PROFILES = {
    "AES_CM_128_HMAC_SHA1_80": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 10),
    "AES_CM_128_HMAC_SHA1_32": (pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 4),
}
_RTCP_TAG = 10  # RFC 3711 §5.2: 80 bits for SRTCP, also with the _32 suite
_WINDOW = 1024  # packets that may be this late; voice at 50/s: 20 s


class SrtpStream:
    """What a leg needs to send, or to receive: a libsrtp session and its four operations on the packet in hand."""

    __slots__ = ("_session", "rtcp", "rtp")

    def __init__(self, line: CryptoLine, packet: Packet, *, inbound: bool) -> None:
        profile, tag = _PROFILES[line.suite]
        kind = pylibsrtp.Policy.SSRC_ANY_INBOUND if inbound else pylibsrtp.Policy.SSRC_ANY_OUTBOUND
        policy = pylibsrtp.Policy(key=line.key, ssrc_type=kind, srtp_profile=profile)
        policy.window_size = _WINDOW
        self._session = pylibsrtp.Session(policy)
        transform = _by_copy if _binding(self._session) is None else _in_place
        if inbound:
            self.rtp = transform(self._session, packet, "unprotect")
            self.rtcp = transform(self._session, packet, "unprotect_rtcp")
            if line.mki:
                self.rtp = _without_mki(self.rtp, packet, line.mki, tag)
                self.rtcp = _without_mki(self.rtcp, packet, line.mki, _RTCP_TAG)
        else:
            self.rtp = transform(self._session, packet, "protect")
            self.rtcp = transform(self._session, packet, "protect_rtcp")


def _binding(session: pylibsrtp.Session) -> Any | None:
    """Return pylibsrtp's binding when it has what is needed, else None."""
    binding = getattr(pylibsrtp, "_binding", None)
    if binding is None or not hasattr(session, "_srtp") or not hasattr(binding.lib, "srtp_unprotect_rtcp"):
        return None
    return binding


def _in_place(session: pylibsrtp.Session, packet: Packet, operation: str) -> Transform:
    binding = pylibsrtp._binding
    function = getattr(binding.lib, f"srtp_{operation}")
    handle = session._srtp[0]
    data = binding.ffi.from_buffer("char[]", packet.buffer)
    length = binding.ffi.new("int *")

    def transform(size: int, _alive: pylibsrtp.Session = session) -> int:
        # `_alive`: the handle is the session's own memory, which must not go before the handle.
        length[0] = size
        return int(length[0]) if function(handle, data, length) == 0 else -1

    return transform


def _by_copy(session: pylibsrtp.Session, packet: Packet, operation: str) -> Transform:
    function: Callable[[bytes], bytes] = getattr(session, operation)
    buffer, views = packet.buffer, packet.views

    def transform(size: int) -> int:
        try:
            result = function(bytes(views[size]))
        except (pylibsrtp.Error, ValueError):
            return -1
        buffer[: len(result)] = result
        return len(result)

    return transform


def _without_mki(unprotect: Transform, packet: Packet, mki: bytes, tag: int) -> Transform:
    """Take the MKI out of each packet before it is unprotected (RFC 3711 §3.1: it stands before the tag, unsigned).

    Peers are known to announce one and not to send it, so a packet that is not authentic without the octets is
    tried as it came.
    """
    buffer, views, width = packet.buffer, packet.views, len(mki)

    def transform(size: int) -> int:
        at = size - tag - width
        if at < 8 or views[size][at : at + width] != mki:
            return unprotect(size)
        original = bytes(views[size])
        buffer[at : size - width] = original[at + width :]
        result = unprotect(size - width)
        if result < 0:
            buffer[:size] = original
            result = unprotect(size)
        return result

    return transform
