"""What transactions need of messages: the keys they are matched by, and the ACK and CANCEL that follow an INVITE's path.

RFC 3261 §8.2.2.2 (merged requests), §9.1 (CANCEL), §17.1.1.3 (ACK), §17.2.3 (matching).
"""

from __future__ import annotations

from sbc.sip.message import Request, Response
from sbc.sip.transaction import Key

COOKIE = "z9hG4bK"
"""What every branch of an RFC 3261 peer begins with (§8.1.1.7)."""


def server_key(request: Request) -> Key:
    """Return what identifies the server transaction of a request (§17.2.3); an ACK's is its INVITE's."""
    via = request.top_via
    method = request.method
    if method == "ACK":
        method = "INVITE"
    branch = via.branch
    if branch is not None and branch.startswith(COOKIE) and len(branch) > len(COOKIE):
        return branch, via.sent_by.lower(), method
    # RFC 2543 peers: their branches are not unique, so the request itself must tell
    return (
        str(request.uri),
        request.call_id,
        request.from_.tag or "",
        str(request.cseq.number),
        str(via),
        method,
    )


def merge_key(request: Request) -> Key:
    """Return what two requests outside of dialogs share when one was forked on its way here (§8.2.2.2)."""
    return request.call_id, request.from_.tag or "", str(request.cseq.number), request.method


def ack_for(invite: Request, response: Response) -> Request:
    """Build the ACK for a final response that is not 2xx (§17.1.1.3)."""
    pairs = _hop_headers(invite)
    pairs += [
        ("From", invite.headers.first("From") or ""),
        ("To", response.headers.first("To") or ""),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq.number} ACK"),
    ]
    return Request("ACK", invite.uri, pairs)


def cancel_for(invite: Request, reason: str | None) -> Request:
    """Build the CANCEL of an INVITE (§9.1); `reason` becomes a Reason header (RFC 3326)."""
    pairs = _hop_headers(invite)
    pairs += [(name, invite.headers.first(name) or "") for name in ("From", "To", "Call-ID")]
    pairs.append(("CSeq", f"{invite.cseq.number} CANCEL"))
    if reason:
        pairs.append(("Reason", reason))
    return Request("CANCEL", invite.uri, pairs)


def _hop_headers(invite: Request) -> list[tuple[str, str]]:
    """Give the headers with which a request takes the very path of its INVITE."""
    pairs = [("Via", invite.headers.first("Via") or ""), ("Max-Forwards", "70")]
    pairs += [("Route", route) for route in invite.headers.lines("Route")]
    return pairs
