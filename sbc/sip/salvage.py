"""What can be saved of a request that could not be read, so that the fault can still be answered.

The result is no valid message: its headers hold the lines that could be told apart, and `Request.response`
copies from it what RFC 3261 §8.2.6.2 asks for. Typed accessors of it may raise ParseError.
"""

from __future__ import annotations

import re

from sbc.sip.errors import ParseError
from sbc.sip.headers import Headers, Item
from sbc.sip.message import Request
from sbc.sip.names import header_key
from sbc.sip.uri import Uri

_METHOD = re.compile(rb"([A-Za-z0-9.!%*_+`'~-]{1,64})[ \t]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f]+")
_WANTED = frozenset({"via", "from", "to", "call-id", "cseq"})
# A hostile head is not worth more: real ones hold the five headers well within this.
_LOOK_AT_BYTES = 16384


def salvage_request(data: bytes) -> Request | None:
    """Give what is needed to answer the request in `data`, or None: a response, an ACK, or no usable Via."""
    data = bytes(data[:_LOOK_AT_BYTES]).lstrip(b"\r\n")
    head = re.split(rb"\r?\n\r?\n", data, maxsplit=1)[0]
    first_line, _, rest = head.partition(b"\n")
    match = _METHOD.match(first_line)
    if match is None or match[1] == b"ACK" or first_line[:4].upper() == b"SIP/":
        return None
    text = re.sub(r"\r?\n[ \t]+", " ", rest.decode("utf-8", "surrogateescape"))
    items: list[Item] = []
    first: dict[str, str] = {}
    for line in text.split("\n"):
        name, colon, content = line.partition(":")
        key = header_key(name.strip(" \t\r"))
        if not colon or key not in _WANTED or (key in first and key != "via"):
            continue
        content = _CONTROLS.sub(" ", content).strip(" ")
        first.setdefault(key, content)
        items.append((key, name.strip(" \t\r"), content))
    request = Request(match[1].decode("ascii"), Uri("sip", host="invalid"), Headers.from_wire(items, first))
    try:
        request.top_via  # noqa: B018  read for its refusal: without it no answer finds its way
    except ParseError:
        return None
    return request
