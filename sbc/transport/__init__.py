"""Sockets: TLS, TCP and UDP, and who may speak to us.

Which trunk a peer belongs to is decided here, from its source address and certificate, before any byte of SIP is read.
Connections that peers opened and connections that we opened are separate: a request of ours never leaves on a peer's
connection unless the trunk says so, and responses return on the connection of their request.
"""

from sbc.transport.errors import ConnectFailedError, DnsError, TlsFailedError, TransportError
from sbc.transport.flow import Flow
from sbc.transport.peers import PeerRule, PeerTable
from sbc.transport.resolver import Resolver
from sbc.transport.transport import Callbacks, Limits, Listener, Remote, SipTransport

__all__ = [
    "Callbacks",
    "ConnectFailedError",
    "DnsError",
    "Flow",
    "Limits",
    "Listener",
    "PeerRule",
    "PeerTable",
    "Remote",
    "Resolver",
    "SipTransport",
    "TlsFailedError",
    "TransportError",
]
