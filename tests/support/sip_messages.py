"""SIP messages for tests: a realistic INVITE, and hypothesis strategies for valid messages of every shape."""

from hypothesis import strategies as st

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=session\r\nc=IN IP4 203.0.113.7\r\nt=0 0\r\n"
    b"m=audio 50110 RTP/SAVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
)


def invite(*extra: str, body: bytes = SDP, length: str | None = None, drop: tuple[str, ...] = ()) -> bytes:
    """Write an INVITE as the hub would, with extra header lines and without those named in `drop`."""
    lines = [
        "FROM: Alice Example<sip:+14255550100@sip.contoso.example:5061;user=phone>;tag=5f1e",
        "TO: <sip:+14255550123@sbc1.contoso.example:5061;user=phone>",
        "CSEQ: 1 INVITE",
        "CALL-ID: 0a1b2c3d",
        "MAX-FORWARDS: 70",
        "VIA: SIP/2.0/TLS 203.0.113.24:5061;branch=z9hG4bK6f1e",
        "CONTACT: <sip:api.contoso.example:443;x-i=1;x-c=a/d/8/b>",
        f"CONTENT-LENGTH: {len(body) if length is None else length}",
    ]
    kept = [line for line in lines if line.partition(":")[0] not in drop]
    head = ["INVITE sip:+14255550123@sbc1.contoso.example:5061 SIP/2.0", *kept, *extra]
    return "\r\n".join([*head, "", ""]).encode("utf-8", "surrogateescape") + body


_WORD = "abcXYZ019-.!%*_+`'~"
tokens = st.text(_WORD, min_size=1, max_size=12)
hosts = st.sampled_from(
    ["contoso.example", "sbc1.contoso.example", "192.0.2.7", "[2001:db8::7]", "A-b.example."]
)
ports = st.sampled_from(["", ":5060", ":1", ":65535"])
users = st.text("abc019+*#/;?=,&$-_.!~%", min_size=1, max_size=12).map(lambda text: text + "@")
params = st.lists(st.tuples(tokens, st.none() | tokens), max_size=3).map(
    lambda pairs: "".join(f";p{name}" if text is None else f";p{name}={text}" for name, text in pairs)
)
uris = st.builds("sip:{}{}{}{}".format, st.just("") | users, hosts, ports, params)
printable = st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=("Cs", "Cc"))
quoted = st.text(printable, max_size=12).map(
    lambda s: '"' + s.replace("\\", "\\\\").replace('"', '\\"') + '" '
)
displays = st.just("") | quoted | st.sampled_from(["Alice Example", "Alice ", "O'Neil, Ann  "])
addresses = st.builds("{}<{}>{}".format, displays, uris, params)
values = st.text(printable, max_size=30).map(lambda text: text.strip())
extras = st.lists(st.tuples(tokens.map(lambda text: "X-" + text), values), max_size=5)
vias = st.builds(
    "SIP/2.0/{} {}{};branch=z9hG4bK{}".format, st.sampled_from(["UDP", "TLS"]), hosts, ports, tokens
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Draw a valid message: request or response, long or compact names in any case, any body."""
    method = draw(st.sampled_from(["INVITE", "OPTIONS", "BYE", "x.y!"]) | tokens)
    start = (
        f"{method} {draw(uris)} SIP/2.0"
        if draw(st.booleans())
        else f"SIP/2.0 {draw(st.integers(100, 699))} {draw(values)}"
    )
    body = draw(st.binary(max_size=60))
    headers = [
        (draw(st.sampled_from(["Via", "VIA", "v", "via"])), draw(vias)),
        (draw(st.sampled_from(["From", "FROM", "f"])), draw(addresses)),
        (draw(st.sampled_from(["To", "TO", "t"])), draw(addresses)),
        (draw(st.sampled_from(["Call-ID", "CALL-ID", "i"])), draw(tokens)),
        (draw(st.sampled_from(["CSeq", "CSEQ", "cseq"])), f"{draw(st.integers(0, 2**31 - 1))} {method}"),
        (draw(st.sampled_from(["Content-Length", "CONTENT-LENGTH", "l"])), str(len(body))),
        *draw(extras),
    ]
    lines = [
        f"{name}:{draw(st.sampled_from(['', ' ', '  ']))}{text}"
        for name, text in draw(st.permutations(headers))
    ]
    return "\r\n".join([start, *lines, "", ""]).encode() + body
