"""Digest authentication, both sides (RFC 3261 §22, RFC 7616, RFC 8760: MD5 and SHA-256).

Pure: passwords, secrets, randomness and `now` are handed in. A nonce is a time-stamp with a keyed hash over it, so the server
side remembers nothing but which nonce counts it has seen.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response
from sbc.sip.uri import unquote

_HASHES: dict[str, Callable[[bytes], str]] = {
    "MD5": lambda data: hashlib.md5(data, usedforsecurity=False).hexdigest(),
    "SHA-256": lambda data: hashlib.sha256(data).hexdigest(),
}
_PREFERENCE = ("SHA-256", "SHA-256-sess", "MD5", "MD5-sess")
_PAIR = re.compile(r"""([A-Za-z0-9.!%*_+`'~-]+)[ \t]*=[ \t]*("(?:[^"\\]|\\.)*"|[^\s,"]*)[ \t]*(?:,|$)""")
_SEEN_MAX = 4096


def parse_digest(value: str) -> dict[str, str] | None:
    """Read the parameters of a Digest challenge or credentials; ``None`` when it is another scheme or unreadable."""
    scheme, _, rest = value.strip().partition(" ")
    if scheme.lower() != "digest" or not rest:
        return None
    params: dict[str, str] = {}
    position = 0
    rest = rest.strip()
    while position < len(rest):
        match = _PAIR.match(rest, position)
        if match is None:
            return None
        name, text = match[1].lower(), match[2]
        if name in params:
            return None
        params[name] = unquote(text[1:-1]) if text[:1] == '"' else text
        position = match.end()
        while position < len(rest) and rest[position] in " \t,":
            position += 1
    return params


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
    ha1 = digest(f"{username}:{realm}:{password}".encode())
    if algorithm.endswith("-sess"):
        ha1 = digest(f"{ha1}:{nonce}:{cnonce}".encode())
    ha2 = digest(f"{method}:{uri}".encode())
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return digest(f"{ha1}:{middle}:{ha2}".encode())


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

    def answer(self, response: Response, *, method: str, uri: str) -> tuple[str, str] | None:
        """Return the header that answers a 401 or 407, or ``None`` when no challenge can be answered.

        Of several challenges the strongest known algorithm is answered (RFC 8760 §2.4).
        """
        proxy = response.status == 407
        challenges = response.headers.lines("Proxy-Authenticate" if proxy else "WWW-Authenticate")
        usable: list[tuple[int, str, dict[str, str]]] = []
        for text in challenges:
            params = parse_digest(text)
            algorithm = _algorithm(params.get("algorithm")) if params else None
            if params and algorithm and "nonce" in params and "realm" in params and self._accepts(params):
                usable.append((_PREFERENCE.index(algorithm), algorithm, params))
        if not usable:
            return None
        _, algorithm, params = min(usable, key=lambda item: item[0])
        value = self._credentials(algorithm, params, method, uri)
        return ("Proxy-Authorization" if proxy else "Authorization"), value

    def _accepts(self, params: dict[str, str]) -> bool:
        qop = params.get("qop")
        offered = qop is None or "auth" in [word.strip().lower() for word in qop.split(",")]
        return offered and (self._realm is None or params["realm"] == self._realm)

    def _credentials(self, algorithm: str, params: dict[str, str], method: str, uri: str) -> str:
        nonce, realm = params["nonce"], params["realm"]
        count = self._counts.get(nonce, 0) + 1
        self._counts[nonce] = count
        self._counts.move_to_end(nonce)
        while len(self._counts) > _SEEN_MAX:
            self._counts.popitem(last=False)
        qop = "auth" if "qop" in params else None
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
        self._highest: OrderedDict[str, int] = OrderedDict()

    def challenges(
        self, now: float, *, stale: bool = False, proxy: bool = False
    ) -> tuple[tuple[str, str], ...]:
        """Return the challenge headers, the strongest algorithm first (RFC 8760 §2.4)."""
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
        for text in _credential_lines(request.headers, proxy=proxy):
            params = parse_digest(text)
            if params is not None and params.get("realm") == self._realm:
                return self._judge(params, request.method, now)
        return Verdict(None)

    def _judge(self, params: dict[str, str], method: str, now: float) -> Verdict:
        algorithm = _algorithm(params.get("algorithm"))
        nonce, qop = params.get("nonce", ""), params.get("qop")
        if algorithm is None or algorithm.removesuffix("-sess") not in self._algorithms:
            return Verdict(None)
        issued = self._issued(nonce)
        if issued is None or (qop is not None and qop.lower() != "auth"):
            return Verdict(None)
        username = params.get("username", "")
        password = self._password_of(username)
        expected = digest_response(
            algorithm,
            username,
            self._realm,
            password if password is not None else "no such user",
            method,
            params.get("uri", ""),
            nonce,
            qop=qop and "auth",
            nc=params.get("nc", ""),
            cnonce=params.get("cnonce", ""),
        )
        right = hmac.compare_digest(expected.encode(), params.get("response", "").lower().encode())
        if not right or password is None:
            return Verdict(None)
        if now - issued > self._lifetime_s or not self._fresh(nonce, params.get("nc"), qop):
            return Verdict(None, stale=True)
        return Verdict(username)

    def _fresh(self, nonce: str, nc: str | None, qop: str | None) -> bool:
        """Take each nonce count once, in rising order (RFC 7616 §3.4); without qop a nonce is good for one request."""
        try:
            count = int(nc or "", 16) if qop else 1
        except ValueError:
            return False
        if count <= self._highest.get(nonce, 0):
            return False
        self._highest[nonce] = count
        self._highest.move_to_end(nonce)
        while len(self._highest) > _SEEN_MAX:
            self._highest.popitem(last=False)
        return True

    def _nonce(self, now: float) -> str:
        stamp = f"{int(now * 1000):x}"
        return f"{stamp}-{self._sign(stamp)}"

    def _issued(self, nonce: str) -> float | None:
        stamp, dash, signature = nonce.partition("-")
        if not dash or not hmac.compare_digest(self._sign(stamp).encode(), signature.encode()):
            return None
        try:
            return int(stamp, 16) / 1000
        except ValueError:
            return None

    def _sign(self, stamp: str) -> str:
        return hmac.new(self._secret, stamp.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()[
            :32
        ]


def _credential_lines(headers: Headers, *, proxy: bool) -> list[str]:
    return headers.lines("Proxy-Authorization" if proxy else "Authorization")
