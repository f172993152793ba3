"""TLS contexts under the policy of Direct Routing: TLS 1.2 and 1.3, forward secrecy, no resumption.

Sessions are not resumed because a resumed handshake shows no certificate, and who a peer is rests on its certificate.
"""

from __future__ import annotations

from pathlib import Path

from OpenSSL import SSL

from certs.errors import CertificateError
from certs.identity import Identity

CIPHERS = b"ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE-RSA-AES256-SHA384:ECDHE-RSA-AES128-SHA256"
"""What Microsoft names (Direct Routing, TLS), and their ECDSA and ChaCha20 kin."""


def _context(method: int, identity: Identity | None, ca_file: Path | None) -> SSL.Context:
    context = SSL.Context(method)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(CIPHERS)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_TICKET | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(b"trunkline")
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    try:
        if ca_file is None:
            context.set_default_verify_paths()
        else:
            context.load_verify_locations(str(ca_file))
    except SSL.Error:
        raise CertificateError(f"{ca_file}: holds no certificate authority in PEM form") from None
    if identity is not None:
        context.use_certificate(identity.certificate)
        for intermediate in identity.chain:
            context.add_extra_chain_cert(intermediate)
        context.use_privatekey(identity.key)  # type: ignore[arg-type]  # OpenSSL refuses what it cannot use
    return context


def server_context(identity: Identity, ca_file: Path | None) -> SSL.Context:
    """Return a context for connections that peers open; verification is set by whoever uses it."""
    return _context(SSL.TLS_SERVER_METHOD, identity, ca_file)


def client_context(identity: Identity | None, ca_file: Path | None) -> SSL.Context:
    """Return a context for connections that we open, presenting ``identity`` if there is one."""
    return _context(SSL.TLS_CLIENT_METHOD, identity, ca_file)
