"""Certificates: load, inspect, watch and swap; who a certificate is for; TLS contexts; a CA for trials.

`CertificateStore` holds the node's identities by name and takes up changed files while connections live on;
`CertificateAuthority` issues throw-away certificates for the sandbox and tests.
"""

from certs.authority import CertificateAuthority, Issued
from certs.errors import CertificateError
from certs.identity import CertificateFacts, Identity, inspect, load_identity
from certs.matching import covers, name_matches
from certs.store import CertificateStore
from certs.tls import client_context, server_context

__all__ = [
    "CertificateAuthority",
    "CertificateError",
    "CertificateFacts",
    "CertificateStore",
    "Identity",
    "Issued",
    "client_context",
    "covers",
    "inspect",
    "load_identity",
    "name_matches",
    "server_context",
]
