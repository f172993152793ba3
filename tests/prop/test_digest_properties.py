"""Digest reads anything and takes only what the right password made."""

from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.sip.auth import DigestClient, DigestServer, parse_digests
from sbc.sip.message import Request
from sbc.sip.uri import Uri

text = st.text(st.characters(exclude_characters="\r\n", exclude_categories=("Cs",)), max_size=30)
piece = st.sampled_from(
    [
        "Digest ",
        "realm=",
        "nonce=",
        "nc=00000001",
        "qop=auth",
        '"',
        "\\",
        ",",
        " ",
        "=",
        "uri=sip:b@c",
        "a",
        "\udcff",
    ]
)


def request(value: str) -> Request:
    return Request("INVITE", Uri.parse("sip:b@contoso.example"), (("Authorization", value),))


@given(st.lists(piece | text, max_size=12).map("".join))
@settings(deadline=None, max_examples=300)
def test_no_line_raises_or_opens(value: str) -> None:
    parse_digests(value)
    judge = DigestServer("contoso", {"agent": "s3cret"}.get, b"k")
    assert judge.judge(request(value), 1.0).username is None


@given(user=text.filter(bool), password=text, realm=text, now=st.floats(0, 1e9), later=st.floats(0, 300))
@settings(deadline=None, max_examples=100)
def test_what_the_client_answers_the_server_takes_once(
    user: str, password: str, realm: str, now: float, later: float
) -> None:
    judge = DigestServer(realm, {user: password}.get, b"k", lifetime_s=301)
    challenge = request("").response(401, headers=judge.challenges(now))
    answer = DigestClient(user, password, cnonce=lambda: "c").answer(
        challenge, method="INVITE", uri="sip:b@x"
    )
    assert answer is not None
    assert judge.judge(request(answer[1]), now + later).username == user
    assert judge.judge(request(answer[1]), now + later).username is None
