"""TLS over memory buffers: bytes from the wire in, plaintext and bytes for the wire out; no socket.

The verify callback may overrule exactly one fault, a certificate made for servers only that is shown by a client, and only
when the caller allows it (RFC 5280 §4.2.1.12; Microsoft's certificates since 2026). Every other fault ends the handshake.
"""

from __future__ import annotations

from OpenSSL import SSL, crypto

from certs import CertificateFacts, inspect

_INVALID_PURPOSE = 26  # X509_V_ERR_INVALID_PURPOSE
_FAULTS = {
    2: "its issuer is not known here (an intermediate certificate is missing, or the CA is another one)",
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "its root is not trusted here",
    20: "its issuer is not trusted here (CA file, or a missing intermediate)",
    21: "its chain cannot be verified (a missing intermediate)",
    26: "it is not made for this purpose (extended key usage)",
}
_READ = 65_536


class TlsError(Exception):
    """The handshake or the connection failed; the text says why."""


class TlsEngine:
    """One TLS connection without a socket."""

    __slots__ = ("_accept_server_auth_only", "_connection", "_fault", "established", "facts")

    def __init__(
        self,
        context: SSL.Context,
        *,
        server: bool,
        server_name: str | None = None,
        accept_server_auth_only: bool = False,
    ) -> None:
        self._accept_server_auth_only = accept_server_auth_only
        self._fault = ""
        self.established = False
        self.facts: CertificateFacts | None = None
        """Facts of the peer's certificate once established; ``None`` when it showed none."""
        self._connection = SSL.Connection(context, None)
        self._connection.set_app_data(self)
        if server:
            self._connection.set_accept_state()
        else:
            if server_name is not None:
                self._connection.set_tlsext_host_name(server_name.encode("idna"))
            self._connection.set_connect_state()

    def start(self) -> bytes:
        """Begin the handshake; returns the bytes to send."""
        self._handshake()
        return self.outgoing()

    def receive(self, data: bytes | memoryview) -> bytes:
        """Take bytes from the wire and return the plaintext in them. Raises TlsError; `outgoing` may then hold an alert."""
        self._connection.bio_write(bytes(data))
        if not self.established:
            self._handshake()
            if not self.established:
                return b""
        pieces: list[bytes] = []
        try:
            while True:
                pieces.append(self._connection.recv(_READ))
        except SSL.WantReadError:
            pass
        except SSL.ZeroReturnError:
            raise TlsError("closed by the peer") from None
        except SSL.Error as error:
            raise TlsError(self._words(error)) from None
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def send(self, data: bytes) -> bytes:
        """Encrypt one message; returns the bytes for the wire. Raises TlsError."""
        try:
            sent = self._connection.send(data)
            while sent < len(data):
                sent += self._connection.send(data[sent:])
        except SSL.Error as error:
            raise TlsError(self._words(error)) from None
        return self.outgoing()

    def outgoing(self) -> bytes:
        """Return what is to go on the wire."""
        try:
            first = self._connection.bio_read(_READ)
        except SSL.WantReadError:
            return b""
        pieces = [first]
        try:
            while len(pieces[-1]) == _READ:
                pieces.append(self._connection.bio_read(_READ))
        except SSL.WantReadError:
            pass
        return first if len(pieces) == 1 else b"".join(pieces)

    def close(self) -> bytes:
        """Say goodbye; returns the bytes to send."""
        try:
            self._connection.shutdown()
        except SSL.Error:
            return b""
        return self.outgoing()

    @property
    def server_name(self) -> str | None:
        """The name that the client asked for (SNI)."""
        name = self._connection.get_servername()
        return name.decode("ascii", "replace") if name else None

    def chain(self) -> list[crypto.X509]:
        """Return the certificates that the peer sent."""
        return list(self._connection.get_peer_cert_chain() or [])

    def _handshake(self) -> None:
        try:
            self._connection.do_handshake()
        except SSL.WantReadError:
            return
        except SSL.Error as error:
            raise TlsError(self._words(error)) from None
        self.established = True
        certificate = self._connection.get_peer_certificate(as_cryptography=True)
        self.facts = inspect(certificate) if certificate is not None else None

    def judge(self, certificate: crypto.X509, fault: int, depth: int, *, ok: bool) -> bool:
        """Decide one step of the verification of the peer's chain."""
        if ok:
            return True
        try:
            facts = inspect(certificate.to_cryptography())
        except ValueError:
            self._fault = "the peer's certificate cannot be read"
            return False
        if fault == _INVALID_PURPOSE and self._accept_server_auth_only and "serverAuth" in facts.eku:
            return True
        reason = _FAULTS.get(fault, f"verification error {fault}")
        if fault in (9, 10):
            reason += f" ({facts.not_before:%Y-%m-%d} to {facts.not_after:%Y-%m-%d})"
        self._fault = f"the peer's certificate {facts.subject} is refused: {reason}"
        if depth:
            self._fault += f" (depth {depth} of its chain)"
        return False

    def _words(self, error: SSL.Error) -> str:
        if self._fault:
            return self._fault
        if isinstance(error, SSL.SysCallError):
            return (
                "connection cut in the middle of the handshake" if not self.established else "connection cut"
            )
        stack = error.args[0] if error.args and isinstance(error.args[0], list) else []
        reasons = [str(entry[2]) for entry in stack if len(entry) > 2 and entry[2]]
        return "; ".join(reasons) or "TLS error"


def verify(connection: SSL.Connection, certificate: crypto.X509, fault: int, depth: int, ok: int) -> bool:
    """Pass OpenSSL's question on to the engine of that connection (for `Context.set_verify`)."""
    engine = connection.get_app_data()
    return isinstance(engine, TlsEngine) and engine.judge(certificate, fault, depth, ok=bool(ok))


def chain_is_trusted(chain: list[crypto.X509], ca_file: str | None) -> bool:
    """Verify a chain once more against one trunk's authorities, where several trunks share a source range."""
    if not chain:
        return False
    store = crypto.X509Store()
    try:
        if ca_file is not None:
            store.load_locations(ca_file)
        else:
            context = SSL.Context(SSL.TLS_CLIENT_METHOD)
            context.set_default_verify_paths()
            found = context.get_cert_store()
            if found is None:
                return False
            store = found
        crypto.X509StoreContext(store, chain[0], chain[1:]).verify_certificate()
    except crypto.Error:
        return False
    except crypto.X509StoreContextError:
        return False
    return True
