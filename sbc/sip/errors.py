"""Errors of the SIP core.

SipError
├── ParseError      the peer's fault: carries the status and reason phrase to answer with
└── LocalError      our own misuse of this package: a bug, never caused by a peer
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sbc.sip.message import Request


class SipError(Exception):
    """Root of the package's errors."""


class ParseError(SipError):
    """What a peer sent is not SIP, or more of it than we take.

    `status` is the SIP status to answer with, `reason` names the fault and is fit for a reason phrase,
    `request` is as much of the request as its answer needs, or None where no answer may be sent: a
    response, an ACK, or no usable Via.
    """

    def __init__(self, reason: str, status: int = 400, request: Request | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status
        self.request = request


class LocalError(SipError):
    """The package was asked for something that would not be SIP, such as a line break in a header value."""
