"""A certificate with its chain and key, read from PEM files, and the facts that matter about it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from certs.errors import CertificateError

_EKU_NAMES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What is to be known of a certificate."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    """DNS names and addresses it is for: its subject alternative names, or the common name where it has none."""
    eku: tuple[str, ...]
    """Extended key usages by name (``serverAuth``, ``clientAuth``) or number; empty when not restricted."""
    key_type: str
    """``RSA``, ``EC`` or other."""
    key_bits: int
    not_before: dt.datetime
    not_after: dt.datetime
    serial: int

    def days_left(self, now: dt.datetime) -> float:
        """Days until it expires; negative afterwards."""
        return (self.not_after - now).total_seconds() / 86_400


@dataclass(frozen=True, slots=True)
class Identity:
    """Something to show in a TLS handshake."""

    name: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    """The intermediates, in their order."""
    key: PrivateKeyTypes
    facts: CertificateFacts


def inspect(certificate: x509.Certificate) -> CertificateFacts:
    """Read the facts of a certificate."""
    key = certificate.public_key()
    kind, bits = ("RSA", key.key_size) if isinstance(key, rsa.RSAPublicKey) else ("other", 0)
    if isinstance(key, ec.EllipticCurvePublicKey):
        kind, bits = "EC", key.key_size
    elif isinstance(key, ed25519.Ed25519PublicKey):
        kind, bits = "Ed25519", 256
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        names=_names(certificate),
        eku=_eku(certificate),
        key_type=kind,
        key_bits=bits,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        serial=certificate.serial_number,
    )


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except (x509.ExtensionNotFound, ValueError):
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        return tuple(str(attribute.value) for attribute in common)
    assert isinstance(found, x509.SubjectAlternativeName)
    dns = found.get_values_for_type(x509.DNSName)
    return (*dns, *(str(address) for address in found.get_values_for_type(x509.IPAddress)))


def _eku(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.EXTENDED_KEY_USAGE).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    assert isinstance(found, x509.ExtendedKeyUsage)
    return tuple(_EKU_NAMES.get(usage, usage.dotted_string) for usage in found)


def load_identity(name: str, chain: Path, key: Path, password: str | None = None) -> Identity:
    """Read a certificate chain and its key; raises CertificateError with the file's name and what is wrong with it."""
    certificates = _certificates(chain)
    private = _key(key, password)
    leaf = certificates[0]
    if _public_bytes(leaf.public_key()) != _public_bytes(private.public_key()):
        raise CertificateError(f"{key}: the key does not belong to the certificate in {chain}")
    for child, parent in pairwise(certificates):
        if child.issuer != parent.subject:
            raise CertificateError(
                f"{chain}: the certificates are out of order: {child.subject.rfc4514_string()} is not issued by "
                f"{parent.subject.rfc4514_string()}"
            )
    return Identity(name, leaf, tuple(certificates[1:]), private, inspect(leaf))


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror or error}") from None
    except ValueError:
        raise CertificateError(f"{path}: holds no certificate in PEM form") from None


def _key(path: Path, password: str | None) -> PrivateKeyTypes:
    try:
        data = path.read_bytes()
        return serialization.load_pem_private_key(data, password.encode() if password else None)
    except OSError as error:
        raise CertificateError(f"{path}: {error.strerror or error}") from None
    except TypeError:
        fault = "the key is encrypted and no password is given" if not password else "the key has no password"
        raise CertificateError(f"{path}: {fault}") from None
    except ValueError:
        raise CertificateError(
            f"{path}: holds no private key in PEM form, or the password is wrong"
        ) from None


def _public_bytes(key: object) -> bytes:
    return key.public_bytes(  # type: ignore[attr-defined, no-any-return]  # every public key of the library has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
