"""Golden pairs: `NNN-name.sip` is a message as it came, `NNN-name.json` what it says or why it is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from sbc.sip.errors import ParseError
from sbc.sip.message import Message, Request, Response
from sbc.sip.parser import parse_message

HERE = Path(__file__).parent
PAIRS = sorted([*HERE.glob("torture/*.sip"), *HERE.glob("teams/*.sip")])

READERS = {
    "method": lambda m: m.method,
    "status": lambda m: m.status,
    "reason": lambda m: m.reason,
    "uri_user": lambda m: m.uri.user,
    "uri_host": lambda m: m.uri.host,
    "uri_port": lambda m: m.uri.port,
    "from_display": lambda m: m.from_.display,
    "from_tag": lambda m: m.from_.tag,
    "from_uri": lambda m: str(m.from_.uri),
    "to_display": lambda m: m.to.display,
    "to_tag": lambda m: m.to.tag,
    "to_uri": lambda m: str(m.to.uri),
    "contact": lambda m: str(m.contact.uri),
    "cseq": lambda m: list(m.cseq),
    "max_forwards": lambda m: m.max_forwards,
    "content_type": lambda m: m.content_type,
    "body_length": lambda m: len(m.body),
    "branch": lambda m: m.top_via.branch,
    "via_host": lambda m: m.top_via.host,
    "via_port": lambda m: m.top_via.port,
    "via_received": lambda m: m.top_via.received,
    "via_count": lambda m: len(m.vias),
}


def test_the_corpus_is_there() -> None:
    assert len(PAIRS) > 75
    assert all(path.with_suffix(".json").exists() for path in PAIRS)


@pytest.mark.parametrize("path", PAIRS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_message_is_read_or_refused_as_its_pair_says(path: Path) -> None:
    data = path.read_bytes()
    expected: dict[str, Any] = json.loads(path.with_suffix(".json").read_text())
    del expected["idea"]
    if "error" in expected:
        refused(data, expected["error"])
        return
    message = parse_message(data)
    for name, text in expected.pop("headers", {}).items():
        assert message.headers.first(name) == text
    for name, texts in expected.pop("values", {}).items():
        assert message.headers.values(name) == texts
    assert {key: READERS[key](message) for key in expected} == expected
    again_is_the_same(message)


def refused(data: bytes, expected: dict[str, Any]) -> None:
    with pytest.raises(ParseError) as caught:
        parse_message(data)
    error = caught.value
    assert (error.status, error.reason) == (expected["status"], expected["reason"])
    assert (error.request is not None) == expected["answerable"]
    if error.request is not None:
        answer = error.request.response(error.status, error.reason, to_tag="t")
        assert answer.encode().startswith(f"SIP/2.0 {error.status} {error.reason}\r\nVia: ".encode())


def again_is_the_same(message: Message) -> None:
    again = parse_message(message.encode())
    assert isinstance(again, Request | Response)
    kept = [(name, text) for name, text in message.headers if name.lower() not in {"content-length", "l"}]
    assert [pair for pair in again.headers if pair[0] != "Content-Length"] == kept
    assert (again.start_line, again.body) == (message.start_line, message.body)
