"""Digest authentication, both sides (RFC 3261 §22, RFC 7616, RFC 8760: MD5 and SHA-256).

Pure: passwords, secrets, randomness and `now` are handed in. A nonce is a time-stamp with a keyed hash over it, so the server
side remembers nothing but which nonce counts it has seen.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.uri import Uri, unquote

_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_PREFERENCE = ("SHA-256", "SHA-256-sess", "MD5", "MD5-sess")
_CHALLENGE = re.compile(r"[ \t,]*+(?:Digest[ \t]++(?=[^ \t,=]++[ \t]*+=))", re.IGNORECASE)
_PAIR = re.compile(
    r"""[ \t,]*+([A-Za-z0-9.!%*_+`'~-]++)[ \t]*+=[ \t]*+("(?:[^"\\]|\\.)*+"|[^\s,"]*+)[ \t]*+(?:,|\Z)"""
)
_NONCE_COUNT = re.compile(r"[0-9A-Fa-f]{1,8}\Z")
_SEEN_MAX = 4096
_ROUNDING_S = 0.001  # a nonce carries whole milliseconds


def parse_digests(value: str) -> list[dict[str, str]]:
    """Read the Digest challenges or credentials of a header line, parameter names in lower case.

    Several in one line are taken, as some peers join them (RFC 7235 §4.1). Nothing is given for another scheme, or when any
    part is unreadable or repeated.
    """
    found: list[dict[str, str]] = []
    position, end = 0, len(value.rstrip(" \t,"))
    while position < end:
        start = _CHALLENGE.match(value, position)
        if start is not None:
            found.append({})
            position = start.end()
        pair = _PAIR.match(value, position)
        if pair is None or not found or pair[1].lower() in found[-1]:
            return []
        text = pair[2]
        found[-1][pair[1].lower()] = unquote(text[1:-1]) if text[:1] == '"' else text
        position = pair.end()
    return found


def _bytes(text: str) -> bytes:
    """Give the very bytes received: a peer may send any, and SIP text is UTF-8 only by agreement."""
    return text.encode("utf-8", "surrogateescape")


def digest_response(
    algorithm: str,
    username: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    *,
    qop: str | None = None,
    nc: str = "",
    cnonce: str = "",
) -> str:
    """Compute the ``response`` value (RFC 7616 §3.4.1); without ``qop`` the older form of RFC 2069."""
    base = algorithm.removesuffix("-sess")
    digest = _HASHES[base]
    ha1 = digest(_bytes(f"{username}:{realm}:{password}"))
    if algorithm.endswith("-sess"):
        ha1 = digest(_bytes(f"{ha1}:{nonce}:{cnonce}"))
    ha2 = digest(_bytes(f"{method}:{uri}"))
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return digest(_bytes(f"{ha1}:{middle}:{ha2}"))


def _algorithm(name: str | None) -> str | None:
    wanted = (name or "MD5").upper().replace("-SESS", "-sess")
    return wanted if wanted in _PREFERENCE else None


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class DigestClient:
    """Answers challenges with one user's credentials."""

    def __init__(
        self, username: str, password: str, *, cnonce: Callable[[], str], realm: str | None = None
    ) -> None:
        """``realm`` restricts the credentials to one realm; ``cnonce`` gives fresh random text."""
        self._username = username
        self._password = password
        self._realm = realm
        self._cnonce = cnonce
        self._counts: OrderedDict[str, int] = OrderedDict()

    def answer(
        self, response: Response, *, method: str, uri: str, again: bool = False
    ) -> tuple[str, str] | None:
        """Return the header that answers a 401 or 407, or `None` when no challenge can be answered.

        Of several challenges the strongest known algorithm is answered (RFC 8760 §2.4). With `again`, for a request that had
        credentials already, only a challenge that calls its nonce stale is answered: the others mean that the password is
        wrong (RFC 7616 §3.3).
        """
        proxy = response.status == 407
        usable: list[tuple[int, str, dict[str, str]]] = []
        for line in response.headers.lines("Proxy-Authenticate" if proxy else "WWW-Authenticate"):
            for params in parse_digests(line):
                algorithm = _algorithm(params.get("algorithm"))
                if algorithm and self._accepts(params, again=again):
                    usable.append((_PREFERENCE.index(algorithm), algorithm, params))
        if not usable:
            return None
        _, algorithm, params = min(usable, key=lambda item: item[0])
        value = self._credentials(algorithm, params, method, uri)
        return ("Proxy-Authorization" if proxy else "Authorization"), value

    def _accepts(self, params: dict[str, str], *, again: bool) -> bool:
        if "nonce" not in params or "realm" not in params:
            return False
        if again and params.get("stale", "").lower() != "true":
            return False
        qop = params.get("qop")
        offered = not qop or "auth" in [word.strip(" \t").lower() for word in qop.split(",")]
        return offered and (self._realm is None or params["realm"] == self._realm)

    def _credentials(self, algorithm: str, params: dict[str, str], method: str, uri: str) -> str:
        nonce, realm = params["nonce"], params["realm"]
        count = self._counts.get(nonce, 0) + 1
        self._counts[nonce] = count
        self._counts.move_to_end(nonce)
        while len(self._counts) > _SEEN_MAX:
            self._counts.popitem(last=False)
        qop = "auth" if params.get("qop") else None
        nc, cnonce = f"{count:08x}", self._cnonce()
        value = digest_response(
            algorithm,
            self._username,
            realm,
            self._password,
            method,
            uri,
            nonce,
            qop=qop,
            nc=nc,
            cnonce=cnonce,
        )
        parts = [
            f"username={_quoted(self._username)}",
            f"realm={_quoted(realm)}",
            f"nonce={_quoted(nonce)}",
            f"uri={_quoted(uri)}",
            f'response="{value}"',
            f"algorithm={algorithm}",
        ]
        if qop or algorithm.endswith("-sess"):
            parts.append(f'cnonce="{cnonce}"')
        if qop:
            parts += [f"qop={qop}", f"nc={nc}"]
        if "opaque" in params:
            parts.append(f"opaque={_quoted(params['opaque'])}")
        return "Digest " + ", ".join(parts)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the server side thinks of a request's credentials."""

    username: str | None
    """Who it is; ``None`` when the request is to be challenged."""
    stale: bool = False
    """The credentials were right but their nonce has aged: the challenge says so and the user is not asked again."""


class DigestServer:
    """Challenges requests and judges their credentials."""

    def __init__(
        self,
        realm: str,
        password_of: Callable[[str], str | None],
        secret: bytes,
        *,
        lifetime_s: float = 300.0,
        algorithms: tuple[str, ...] = ("SHA-256", "MD5"),
    ) -> None:
        """``password_of`` gives a user's password or ``None``; ``secret`` keys the nonces."""
        self._realm = realm
        self._password_of = password_of
        self._secret = secret
        self._lifetime_s = lifetime_s
        self._algorithms = algorithms
        self._highest: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """The highest count seen of each nonce, and when the nonce was issued."""
        self._forgotten = -math.inf
        """Nonces issued until then are stale unless remembered: their counts may have been seen."""
        self._issues = 0

    def challenges(
        self, now: float, *, stale: bool = False, proxy: bool = False
    ) -> tuple[tuple[str, str], ...]:
        """Return the challenge headers, the strongest algorithm first (RFC 8760 §2.4)."""
        self._issues += 1
        name = "Proxy-Authenticate" if proxy else "WWW-Authenticate"
        nonce = self._nonce(now)
        tail = ", stale=true" if stale else ""
        return tuple(
            (
                name,
                f'Digest realm={_quoted(self._realm)}, nonce="{nonce}", qop="auth", algorithm={algorithm}{tail}',
            )
            for algorithm in self._algorithms
        )

    def judge(self, request: Request, now: float, *, proxy: bool = False) -> Verdict:
        """Judge a request's credentials; wrong ones and none at all read the same."""
        for line in request.headers.lines("Proxy-Authorization" if proxy else "Authorization"):
            for params in parse_digests(line):
                if params.get("realm") == self._realm:
                    return self._judge(params, request, now)
        return Verdict(None)

    def _judge(self, params: dict[str, str], request: Request, now: float) -> Verdict:
        algorithm = _algorithm(params.get("algorithm"))
        nonce, qop = params.get("nonce", ""), params.get("qop")
        if algorithm is None or algorithm.removesuffix("-sess") not in self._algorithms:
            return Verdict(None)
        issued = self._issued(nonce)
        if issued is None or not _is_for(params, request):
            return Verdict(None)
        username = params.get("username", "")
        password = self._password_of(username)
        expected = digest_response(
            algorithm,
            username,
            self._realm,
            password if password is not None else "no such user",
            request.method,
            params.get("uri", ""),
            nonce,
            qop=qop and "auth",
            nc=params.get("nc", ""),
            cnonce=params.get("cnonce", ""),
        )
        right = hmac.compare_digest(_bytes(expected), _bytes(params.get("response", "").lower()))
        if not right or password is None:
            return Verdict(None)
        if not -_ROUNDING_S <= now - issued <= self._lifetime_s or not self._fresh(
            nonce, issued, params, now
        ):
            return Verdict(None, stale=True)
        return Verdict(username)

    def _fresh(self, nonce: str, issued: float, params: dict[str, str], now: float) -> bool:
        """Take each nonce count once, in rising order (RFC 7616 §3.4); without qop a nonce is good for one request."""
        count = int(params["nc"], 16) if params.get("qop") else 1
        seen = self._highest.get(nonce)
        if count <= (seen[0] if seen else 0) or (seen is None and issued <= self._forgotten):
            return False
        self._highest[nonce] = (count, issued)
        if seen is None:
            self._make_room(now)
        return True

    def _make_room(self, now: float) -> None:
        """Forget the nonces first used longest ago, when they have aged or there are too many."""
        while self._highest:
            issued = next(iter(self._highest.values()))[1]
            if len(self._highest) <= _SEEN_MAX and now - issued <= self._lifetime_s:
                return
            self._forgotten = max(self._forgotten, issued)
            self._highest.popitem(last=False)

    def _nonce(self, now: float) -> str:
        stamp = f"{int(now * 1000):x}.{self._issues:x}"
        return f"{stamp}-{self._sign(stamp)}"

    def _issued(self, nonce: str) -> float | None:
        stamp, dash, signature = nonce.partition("-")
        if not dash or not hmac.compare_digest(_bytes(self._sign(stamp)), _bytes(signature)):
            return None
        return int(stamp.partition(".")[0], 16) / 1000  # only what we signed comes here

    def _sign(self, stamp: str) -> str:
        return hmac.new(self._secret, _bytes(stamp), hashlib.sha256).hexdigest()[:32]


def _is_for(params: dict[str, str], request: Request) -> bool:
    """Tell whether credentials are complete and name the request's own callee.

    Hosts are not compared, which proxies on the way rewrite; a number is what a thief of credentials would change.
    """
    qop = params.get("qop")
    if qop and (
        qop.lower() != "auth" or "cnonce" not in params or not _NONCE_COUNT.match(params.get("nc", ""))
    ):
        return False
    try:
        return Uri.parse(params.get("uri", "")).user == request.uri.user
    except ParseError:
        return False
