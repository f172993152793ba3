"""Digest on both sides, against RFC 7616's own example and against each other."""

import pytest

from sbc.sip.auth import DigestClient, DigestServer, digest_response, parse_digests
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
    assert parse_digests(text) == []
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


def test_challenges_joined_in_one_line_are_told_apart() -> None:
    line = 'Digest realm="a, Digest b=c", nonce="1", Digest realm="d\\"e",nonce=2 ,stale=TRUE'
    assert parse_digests(line) == [
        {"realm": "a, Digest b=c", "nonce": "1"},
        {"realm": 'd"e', "nonce": "2", "stale": "TRUE"},
    ]


@pytest.mark.parametrize("field", ["username", "response", "nonce", "uri", "cnonce", "nc"])
def test_bytes_that_are_no_text_in_credentials_are_refused_and_no_fault_of_ours(field: str) -> None:
    """A value decoded with surrogate escapes once ended the judging with UnicodeEncodeError."""
    judge = server()
    request = answered(judge)
    value = request.headers.first("Authorization") or ""
    (params,) = parse_digests(value)
    params[field] += b"\xff\xfe".decode("utf-8", "surrogateescape")
    request.headers.replace("Authorization", "Digest " + ", ".join(f'{k}="{v}"' for k, v in params.items()))
    assert judge.judge(request, 101.0).username is None


def test_a_password_beyond_ascii_works() -> None:
    judge = DigestServer("contoso", {"agént": "pässwörd"}.get, b"secret" * 6)
    assert judge.judge(answered(judge, "pässwörd", user="agént"), 101.0).username == "agént"


def test_two_challenges_of_one_instant_do_not_share_a_nonce() -> None:
    """Two callers in one millisecond: the second was taken for a replay of the first."""
    judge = server()
    one, other = answered(judge), answered(judge)
    assert judge.judge(one, 100.0).username == "agent"
    assert judge.judge(other, 100.0).username == "agent"


def test_credentials_do_not_open_another_number() -> None:
    judge = server()
    request = answered(judge)
    request.uri = Uri.parse("sip:+19005550100@sbc1.contoso.example")
    assert judge.judge(request, 101.0).username is None


def test_credentials_made_for_another_host_name_of_the_same_callee_are_taken() -> None:
    judge = server()
    request = answered(judge)
    request.uri = Uri.parse("sip:2101@192.0.2.7:5060;transport=udp")
    assert judge.judge(request, 101.0).username == "agent"


@pytest.mark.parametrize("nc", ["0", "00000000", "-1", "0x1", "1_0", "g", "", "f" * 9, "\u0661"])
def test_a_nonce_count_that_is_none_is_refused(nc: str) -> None:
    judge = server()
    (name, challenge), *_ = judge.challenges(100.0)
    assert name == "WWW-Authenticate"
    (params,) = parse_digests(challenge)
    value = digest_response(
        "SHA-256",
        "agent",
        "contoso",
        "s3cret",
        "INVITE",
        "sip:2101@x",
        params["nonce"],
        qop="auth",
        nc=nc,
        cnonce="c",
    )
    request = invite()
    request.headers.add(
        "Authorization",
        f'Digest username="agent", realm="contoso", nonce="{params["nonce"]}", uri="sip:2101@x", '
        f'response="{value}", algorithm=SHA-256, qop=auth, nc="{nc}", cnonce="c"',
    )
    assert judge.judge(request, 101.0).username is None


def test_counts_of_one_nonce_may_rise_with_gaps_and_never_fall() -> None:
    judge = server()
    request = invite()
    challenge = request.response(401, headers=judge.challenges(100.0))
    client = DigestClient("agent", "s3cret", cnonce=lambda: "abc")
    answers = [client.answer(challenge, method="INVITE", uri=str(request.uri)) for _ in range(4)]
    for position, taken in ((0, True), (2, True), (1, False), (3, True)):
        again = invite()
        answer = answers[position]
        assert answer is not None
        again.headers.add(*answer)
        assert (judge.judge(again, 101.0).username == "agent") is taken


def test_a_replay_is_refused_even_after_thousands_of_other_nonces() -> None:
    """The memory of counts is bounded: what it had to forget must not become good again."""
    judge = server()
    first = answered(judge)
    assert judge.judge(first, 100.0).username == "agent"
    for number in range(4200):
        now = 100.0 + number / 1000
        assert judge.judge(answered(judge, now=now), now).username == "agent"
    verdict = judge.judge(first, 105.0)
    assert (verdict.username, verdict.stale) == (None, True)


@pytest.mark.parametrize("sess", [False, True])
def test_md5_and_session_variants_are_taken(sess: bool) -> None:
    judge = server()
    md5 = judge.challenges(100.0)[1][1]
    challenge = invite().response(
        401, headers=(("WWW-Authenticate", md5.replace("=MD5", "=MD5-sess") if sess else md5),)
    )
    request = invite()
    header = DigestClient("agent", "s3cret", cnonce=lambda: "abc").answer(
        challenge, method="INVITE", uri=str(request.uri)
    )
    assert header is not None
    request.headers.add(*header)
    assert judge.judge(request, 101.0).username == "agent"
    assert server(algorithms=("SHA-256",)).judge(request, 101.0).username is None


def test_a_peer_of_rfc_2069_is_taken_once() -> None:
    judge = server()
    (params,) = parse_digests(judge.challenges(100.0)[1][1])
    value = digest_response("MD5", "agent", "contoso", "s3cret", "INVITE", "sip:2101@x", params["nonce"])
    request = invite()
    request.headers.add(
        "Authorization",
        f'Digest username="agent",realm="contoso",nonce="{params["nonce"]}",uri="sip:2101@x",response="{value}"',
    )
    assert judge.judge(request, 101.0).username == "agent"
    assert judge.judge(request, 102.0).username is None


def test_a_request_that_had_credentials_is_answered_again_only_when_they_had_aged() -> None:
    client = DigestClient("agent", "s3cret", cnonce=lambda: "abc")
    judge = server()
    for stale in (False, True):
        challenge = invite().response(401, headers=judge.challenges(100.0, stale=stale))
        assert (client.answer(challenge, method="INVITE", uri="sip:x", again=True) is not None) is stale


def test_an_empty_qop_is_none() -> None:
    client = DigestClient("agent", "s3cret", cnonce=lambda: "abc")
    response = invite().response(401, headers=(("WWW-Authenticate", 'Digest realm="c", nonce="n", qop=""'),))
    answer = client.answer(response, method="INVITE", uri="sip:x")
    assert answer is not None
    assert "qop" not in answer[1]
