"""A certificate authority for trials: the sandbox and the tests. Never for production, where a public CA is demanded."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_EKU = {"serverAuth": ExtendedKeyUsageOID.SERVER_AUTH, "clientAuth": ExtendedKeyUsageOID.CLIENT_AUTH}


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that was issued, as PEM."""

    chain_pem: bytes
    """The certificate, then the intermediates."""
    key_pem: bytes

    def write(self, chain: Path, key: Path) -> None:
        """Write both files; the key is for its owner's eyes only."""
        chain.write_bytes(self.chain_pem)
        key.touch(mode=0o600)
        key.write_bytes(self.key_pem)


class CertificateAuthority:
    """Issues RSA certificates from a root of its own, through an intermediate when asked."""

    def __init__(self, name: str = "Trunkline trial CA", *, intermediate: bool = False) -> None:
        now = dt.datetime.now(dt.UTC)
        self._root_key = _new_key()
        subject = _subject(name)
        self._root = _certificate(
            subject,
            self._root_key,
            subject,
            self._root_key,
            now - dt.timedelta(days=1),
            now + dt.timedelta(days=3650),
            ca=1,
        )
        self._signer, self._signer_key = self._root, self._root_key
        self._between: tuple[x509.Certificate, ...] = ()
        if intermediate:
            key = _new_key()
            signer = _certificate(
                _subject(f"{name} intermediate"),
                key,
                subject,
                self._root_key,
                now - dt.timedelta(days=1),
                now + dt.timedelta(days=1825),
                ca=0,
            )
            self._signer, self._signer_key, self._between = signer, key, (signer,)

    @property
    def root_pem(self) -> bytes:
        """The root certificate."""
        return self._root.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        *names: str,
        eku: Iterable[str] | None = ("serverAuth", "clientAuth"),
        days: float = 90,
        started_days_ago: float = 1,
        with_intermediate: bool = True,
    ) -> Issued:
        """Issue a certificate for DNS names and addresses.

        ``eku`` are the extended key usages (``None``: unrestricted); a negative ``days`` gives one that has expired.
        """
        key = _new_key()
        now = dt.datetime.now(dt.UTC)
        certificate = _certificate(
            _subject(names[0]),
            key,
            self._signer.subject,
            self._signer_key,
            now - dt.timedelta(days=started_days_ago + max(0.0, -days)),
            now + dt.timedelta(days=days),
            names=names,
            eku=None if eku is None else tuple(eku),
        )
        chain = (certificate, *(self._between if with_intermediate else ()))
        return Issued(
            b"".join(one.public_bytes(serialization.Encoding.PEM) for one in chain),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def _new_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _certificate(  # the parts of a certificate are many
    subject: x509.Name,
    key: rsa.RSAPrivateKey,
    issuer: x509.Name,
    issuer_key: rsa.RSAPrivateKey,
    start: dt.datetime,
    end: dt.datetime,
    *,
    ca: int | None = None,
    names: tuple[str, ...] = (),
    eku: tuple[str, ...] | None = None,
) -> x509.Certificate:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
        .add_extension(x509.BasicConstraints(ca=ca is not None, path_length=ca), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if names:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([_name(text) for text in names]), critical=False
        )
    if eku:
        builder = builder.add_extension(x509.ExtendedKeyUsage([_EKU[usage] for usage in eku]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _name(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        return x509.DNSName(text)
