"""What Microsoft's SIP proxy refuses, and in which words (Direct Routing: OPTIONS, INVITE, SDP; code table).

Pure: a request and the facts of the connection it came on, in; a refusal or ``None`` out.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from certs import covers
from sbc.sip.errors import ParseError
from sbc.sip.message import Request
from sbc.sip.sdp import SessionDescription
from sbc.sip.uri import NameAddr

_E164 = re.compile(r"\+[1-9]\d{6,14}\Z")
_SUITE = "AES_CM_128_HMAC_SHA1_80"


@dataclass(frozen=True, slots=True)
class No:
    """A refusal as the hub words it."""

    status: int
    phrase: str
    cause: int
    """Q.850."""
    text: str
    """Internal diagnostic code and phrase, as in the Reason header."""
    headers: tuple[tuple[str, str], ...] = ()


def check_contact(
    request: Request, certificate_names: Iterable[str], tenant_fqdns: Iterable[str]
) -> No | None:
    """Check what every request outside of dialogs needs: a Contact (or Record-Route) that the certificate covers."""
    routes = request.headers.values("Record-Route")
    contact = request.contact
    if contact is None and not routes:
        return No(403, "Forbidden", 63, "Record-Route and Contact headers are missing")
    host = contact.uri.host if contact is not None else NameAddr.parse(routes[0]).uri.host
    if contact is not None and contact.uri.user == "":
        return No(400, "Bad Request", 95, "540400;Contact has an empty user part")
    if _is_ip(host):
        return No(403, "Forbidden", 63, "Contact must be a name that the certificate carries")
    if not covers(certificate_names, (host,)):
        return No(403, "Forbidden", 63, f"Contact {host} is not in the certificate")
    if host.lower() not in {name.lower() for name in tenant_fqdns}:
        return No(403, "Forbidden", 63, "510532;Cannot find Trunk Context by FQDN")
    return None


def check_invite(request: Request) -> No | None:
    """Check an INVITE as the proxy does before it looks for the user."""
    if request.headers.first("Replaces") is not None:
        return No(403, "Forbidden", 63, "Replaces is not accepted")
    if request.uri.scheme != "sip":
        return No(416, "Unsupported URI Scheme", 127, "540416;only sip")
    user = (request.uri.user or "").partition(";")[0]
    if not _E164.match(user):
        return No(404, "Not Found", 1, "511404;GetUserByPhoneNumber: number is not in E.164 format")
    sender = request.from_.uri
    if not sender.user or _is_ip(sender.host):
        return No(400, "Bad Request", 95, "540400;From needs a number and a name")
    allow = {method.strip().upper() for method in ",".join(request.headers.lines("Allow")).split(",")}
    if "NOTIFY" not in allow:
        return No(400, "Bad Request", 95, "540400;Allow lacks NOTIFY")
    if "100rel" in request.headers.values("Require"):
        return No(420, "Bad Extension", 127, "100rel", (("UNSUPPORTED", "100rel"),))
    expires = request.headers.first("Session-Expires")
    if expires is not None and int(expires.partition(";")[0]) < 300:
        return No(422, "Session Interval Too Small", 127, "540422", (("MIN-SE", "300"),))
    return check_sdp(request)


def check_sdp(request: Request) -> No | None:
    """Check the offer: compulsory, SRTP with the one suite, no payload type twice, no ICE on a trunk without bypass."""
    if request.content_type != "application/sdp" or not request.body:
        return No(415, "Unsupported Media Type", 79, "540415;the request needs an SDP offer")
    try:
        session = SessionDescription.parse(request.body)
        audio = session.audio
        cryptos = audio.cryptos if audio is not None else []
    except ParseError as error:
        return No(410, "Gone", 95, f"531000;SDP cannot be parsed: {error.reason}")
    if audio is None:
        return No(488, "Not Acceptable Here", 127, "531000;CannotSupportAnyMedia")
    if audio.duplicate_formats:
        return No(488, "Not Acceptable Here", 127, "531000;duplicate payload types")
    if not any(crypto.suite == _SUITE for crypto in cryptos) or not audio.is_secure:
        return No(488, "Not Acceptable Here", 127, "531000;SrtpEncryptionRequired")
    if audio.all("a=candidate:"):
        return No(488, "Not Acceptable Here", 22, "531004;IceConnectivityChecksFailed")
    address = session.address(audio)
    if address is None or address == "0.0.0.0":  # noqa: S104 - RFC 2543 hold, which Teams does not know
        return No(488, "Not Acceptable Here", 127, "531000;no media address")
    return None


def check_reoffer(request: Request, port: int, mux: bool) -> No | None:
    """Check a re-INVITE: no delayed offer, no hold but ``inactive``, no moved media, no changed rtcp-mux."""
    fault = check_sdp(request)
    if fault is not None:
        return fault
    session = SessionDescription.parse(request.body)
    audio = session.audio
    assert audio is not None
    if session.direction(audio) in ("sendonly", "recvonly"):
        return No(488, "Not Acceptable Here", 127, "531000;hold is a=inactive")
    if audio.rtcp_mux != mux:
        return No(488, "Not Acceptable Here", 127, "CannotChangeRtcpMultiplexing")
    if audio.port != port:
        return No(488, "Not Acceptable Here", 127, "media retargeting is not supported")
    return None


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
