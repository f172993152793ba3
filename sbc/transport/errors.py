"""Errors of the transport, each a sentence for the admin.

TransportError
├── ListenError           a local address cannot be listened on
├── DnsError              a name has no address
├── ConnectFailedError    no TCP connection
└── TlsFailedError        no TLS on it: whose certificate, and what is wrong
"""

from __future__ import annotations


class TransportError(Exception):
    """Root of the package's errors."""


class ListenError(TransportError):
    """A listener cannot start."""


class DnsError(TransportError):
    """A name cannot be resolved."""


class ConnectFailedError(TransportError):
    """A connection cannot be made."""


class TlsFailedError(TransportError):
    """A TLS handshake failed."""
