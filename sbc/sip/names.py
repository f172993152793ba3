"""Header names: what compact and differently written forms mean.

RFC 3261 §7.3.3 and §20, and the compact forms registered since (RFC 3515, 3841, 3892, 4028, 4474, 6665).
"""

from __future__ import annotations

COMPACT_FORMS = {
    "a": "accept-contact", "b": "referred-by", "c": "content-type", "d": "request-disposition",
    "f": "from", "i": "call-id", "j": "reject-contact", "k": "supported", "m": "contact",
    "n": "identity-info", "o": "event", "r": "refer-to", "s": "subject", "t": "to", "u": "allow-events",
    "v": "via", "x": "session-expires", "y": "identity",
}  # fmt: skip

_USUAL = [
    "Accept", "Accept-Contact", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow",
    "Allow-Events", "Authentication-Info", "Authorization", "Call-ID", "Call-Info", "Contact",
    "Content-Disposition", "Content-Encoding", "Content-ID", "Content-Language", "Content-Length",
    "Content-Type", "CSeq", "Date", "Diversion", "Error-Info", "Event", "Expires", "From", "History-Info",
    "Identity", "Identity-Info", "In-Reply-To", "Max-Forwards", "MIME-Version", "Min-Expires", "Min-SE",
    "Organization", "P-Asserted-Identity", "P-Preferred-Identity", "Path", "Priority", "Privacy",
    "Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck", "Reason", "Record-Route",
    "Refer-Sub", "Refer-To", "Referred-By", "Reject-Contact", "Remote-Party-ID", "Replaces", "Reply-To",
    "Request-Disposition", "Require", "Retry-After", "Route", "RSeq", "Server", "Service-Route",
    "Session-Expires", "SIP-ETag", "SIP-If-Match", "Subject", "Subscription-State", "Supported",
    "Target-Dialog", "Timestamp", "To", "Unsupported", "User-Agent", "User-to-User", "Via", "Warning",
    "WWW-Authenticate",
]  # fmt: skip

# Every usual spelling to its key, so that one look-up does for nearly all headers ever received.
KEYS: dict[str, str] = {
    **{
        spelling: name.lower()
        for name in _USUAL
        for spelling in (name, name.upper(), name.lower(), name.title())
    },
    **{spelling: key for letter, key in COMPACT_FORMS.items() for spelling in (letter, letter.upper())},
}


def header_key(name: str) -> str:
    """Give the key of a header name: lower case, compact forms spelt out."""
    key = name.lower()
    return COMPACT_FORMS.get(key, key)
