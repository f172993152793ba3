"""Digest on both sides, against RFC 7616's own example and against each other."""

import pytest

from sbc.sip.auth import DigestClient, DigestServer, digest_response, parse_digest
from sbc.sip.message import Request
from sbc.sip.uri import Uri

NONCE, CNONCE = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"


@pytest.mark.parametrize(
    ("algorithm", "value"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_rfc_7616_example(algorithm: str, value: str) -> None:
    """§3.9.1: Mufasa, Circle of Life."""
    computed = digest_response(
        algorithm,
        "Mufasa",
        "http-auth@example.org",
        "Circle of Life",
        "GET",
        "/dir/index.html",
        NONCE,
        qop="auth",
        nc="00000001",
        cnonce=CNONCE,
    )
    assert computed == value


def invite() -> Request:
    return Request(
        "INVITE",
        Uri.parse("sip:2101@sbc1.contoso.example"),
        (
            ("From", "<sip:a@b>;tag=1"),
            ("To", "<sip:b>"),
            ("Call-ID", "c"),
            ("CSeq", "1 INVITE"),
            ("Via", "SIP/2.0/UDP b;branch=z9hG4bK1"),
        ),
    )


def server(**options) -> DigestServer:
    return DigestServer("contoso", {"agent": "s3cret"}.get, b"secret" * 6, **options)


def answered(
    judge: DigestServer, password: str = "s3cret", now: float = 100.0, user: str = "agent"
) -> Request:
    request = invite()
    challenge = request.response(401, headers=judge.challenges(now))
    client = DigestClient(user, password, cnonce=lambda: "abc")
    header = client.answer(challenge, method="INVITE", uri=str(request.uri))
    assert header is not None
    request.headers.add(*header)
    return request


def test_the_right_password_is_taken_and_the_strongest_algorithm_answered() -> None:
    judge = server()
    request = answered(judge)
    assert "algorithm=SHA-256" in (request.headers.first("Authorization") or "")
    assert judge.judge(request, 101.0).username == "agent"


@pytest.mark.parametrize(("password", "user"), [("wrong", "agent"), ("s3cret", "nobody")])
def test_a_wrong_password_and_an_unknown_user_read_the_same(password: str, user: str) -> None:
    judge = server()
    verdict = judge.judge(answered(judge, password, user=user), 101.0)
    assert (verdict.username, verdict.stale) == (None, False)


def test_credentials_cannot_be_used_twice() -> None:
    judge = server()
    request = answered(judge)
    assert judge.judge(request, 101.0).username == "agent"
    assert judge.judge(request, 102.0).username is None


def test_an_aged_nonce_is_stale() -> None:
    judge = server(lifetime_s=60)
    verdict = judge.judge(answered(judge, now=100.0), 161.0)
    assert verdict.username is None
    assert verdict.stale


def test_a_nonce_of_our_own_making_is_demanded() -> None:
    judge, other = server(), DigestServer("contoso", {"agent": "s3cret"}.get, b"another secret")
    assert judge.judge(answered(other), 101.0).username is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Basic abc",
        "Digest",
        "Digest realm",
        'Digest realm="x',
        "Digest a=b, a=c",
        "Digest =x",
        'Digest realm="x" nonce="y" z',
    ],
)
def test_unreadable_credentials_are_none(text: str) -> None:
    params = parse_digest(text)
    assert params is None or "nonce" not in params or text.endswith("z")
    request = invite()
    request.headers.add("Authorization", text)
    assert server().judge(request, 1.0).username is None


def test_a_challenge_for_another_realm_or_with_another_qop_is_not_answered() -> None:
    client = DigestClient("agent", "s3cret", cnonce=lambda: "abc", realm="contoso")
    for text in (
        'Digest realm="other", nonce="n"',
        'Digest realm="contoso", nonce="n", qop="auth-int"',
        'Digest realm="contoso", nonce="n", algorithm=SHA-512',
    ):
        response = invite().response(407, headers=(("Proxy-Authenticate", text),))
        assert client.answer(response, method="INVITE", uri="sip:x") is None


def test_a_challenge_of_rfc_2069_is_answered_without_qop() -> None:
    client = DigestClient("agent", "s3cret", cnonce=lambda: "abc")
    response = invite().response(407, headers=(("Proxy-Authenticate", 'Digest realm="contoso", nonce="n"'),))
    answer = client.answer(response, method="INVITE", uri="sip:x")
    assert answer is not None
    assert answer[0] == "Proxy-Authorization"
    assert "qop" not in answer[1]
