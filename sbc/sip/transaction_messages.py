"""What transactions need of messages: the key they are matched by, and the ACKs and timers that follow from them."""

from __future__ import annotations

from sbc.sip.message import Request, Response
from sbc.sip.timers import Timer
from sbc.sip.transaction import Key, Transaction
from sbc.sip.transaction_tables import CLIENT, INVITE_CLIENT

COOKIE = "z9hG4bK"
"""What every branch of an RFC 3261 peer begins with (§8.1.1.7)."""


class Nobody:
    """The user of our CANCELs: their answers tell nothing, the INVITE's final response does."""

    def on_response(self, response: Response) -> None:
        """Take the answer."""

    def on_failure(self, kind: str) -> None:
        """Take the lack of one."""


def server_key(request: Request) -> Key:
    """Return what identifies the server transaction of a request (§17.2.3); an ACK's is its INVITE's."""
    via = request.top_via
    method = "INVITE" if request.method == "ACK" else request.method
    branch = via.branch or ""
    if branch.startswith(COOKIE) and len(branch) > len(COOKIE):
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


def retransmission_timer(txn: Transaction) -> Timer:
    """Return the timer by which this kind of transaction repeats its message."""
    return Timer.A if txn.table is INVITE_CLIENT else Timer.E if txn.table is CLIENT else Timer.G


def ack_for(invite: Request, response: Response) -> Request:
    """Build the ACK for a final response that is not 2xx (§17.1.1.3)."""
    headers = [("Via", invite.vias[0]), ("Max-Forwards", "70")]
    headers += [("Route", route) for route in invite.headers.lines("Route")]
    headers += [
        ("From", invite.headers.first("From") or ""),
        ("To", response.headers.first("To") or ""),
        ("Call-ID", invite.call_id),
        ("CSeq", f"{invite.cseq.number} ACK"),
    ]
    return Request("ACK", invite.uri, headers)
