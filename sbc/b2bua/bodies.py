"""The session description in a message, wherever its body keeps it (RFC 3261 §7.4, RFC 5621)."""

from __future__ import annotations

from sbc.sip.errors import ParseError
from sbc.sip.message import Message
from sbc.sip.multipart import find_part


def session_description(message: Message) -> bytes | None:
    """Return the SDP of a message, also out of a multipart body; ``None`` when it has none.

    Raises ParseError: 415 for a body of another kind that the sender insists on, 400 for a broken multipart body.
    """
    if not message.body:
        return None
    content_type = message.headers.first("Content-Type")
    part = find_part(content_type, message.body)
    if part is not None:
        return part.body
    disposition = (message.headers.first("Content-Disposition") or "").lower()
    if "handling=optional" in disposition.replace(" ", ""):
        return None
    raise ParseError("Body is no session description", status=415)


def described(message: Message) -> bytes | None:
    """Return the SDP of a message, or ``None`` also where its body is unusable: for responses, which get no answer."""
    try:
        return session_description(message)
    except ParseError:
        return None
