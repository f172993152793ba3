"""What is wrong with a certificate, seen by Teams: chain, names, key, purpose, time.

Pure: PEM bytes and the time in, findings out. Not here: whether the authority is one that Microsoft trusts;
only a hub can tell (the hub check of `trunkline check` does ask one).
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID

DAY_S = 86_400.0
WARN_DAYS = 30
"""Teams' own dashboard warns this long before the end."""
LEAST_RSA_BITS = 2048

Result = Literal["ok", "warning", "failure"]
Line = tuple[Result, str]


def inspect_pair(
    chain_pem: bytes,
    key_pem: bytes,
    *,
    password: str | None,
    names: tuple[str, ...],
    rsa_wanted: bool,
    now: float,
) -> Iterator[Line]:
    """Give what is wrong with the pair, or one `ok` that says what it is. `now`: seconds since 1970, UTC."""
    try:
        chain = x509.load_pem_x509_certificates(chain_pem)
    except ValueError:
        yield "failure", "the chain file holds no certificate in PEM form"
        return
    leaf = chain[0]
    lines = [
        *_key_lines(leaf, key_pem, password, rsa_wanted=rsa_wanted),
        *_time_lines(chain, now),
        *_name_lines(leaf, names),
        *_purpose_lines(leaf),
        *_chain_lines(chain),
    ]
    yield from lines
    if not any(result == "failure" for result, _ in lines):
        days = (leaf.not_valid_after_utc.timestamp() - now) / DAY_S
        listed = ", ".join(subject_names(leaf)) or "no names"
        yield "ok", f"{listed}; {days:.0f} days left; {len(chain)} in the chain"


def subject_names(certificate: x509.Certificate) -> list[str]:
    """Give the DNS names that the certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return extension.value.get_values_for_type(x509.DNSName)


def covers(pattern: str, name: str) -> bool:
    """Tell whether a certificate's name covers a host name; `*` is one whole label (RFC 6125 §6.4.3)."""
    pattern, name = pattern.lower().rstrip("."), name.lower().rstrip(".")
    if pattern.startswith("*."):
        return name.partition(".")[2] == pattern[2:] and bool(name.partition(".")[0])
    return pattern == name


def _key_lines(
    leaf: x509.Certificate, key_pem: bytes, password: str | None, *, rsa_wanted: bool
) -> Iterator[Line]:
    try:
        key = load_pem_private_key(key_pem, password.encode() if password is not None else None)
    except TypeError:
        yield (
            "failure",
            "the key is encrypted and no key_password is given"
            if password is None
            else ("a key_password is given, but the key is not encrypted"),
        )
        return
    except ValueError:
        yield "failure", "the key file holds no private key, or key_password is wrong"
        return
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        yield "failure", "the key does not belong to the first certificate of the chain"
    public = leaf.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
        yield "failure", f"an RSA key of {public.key_size} bits is too short; {LEAST_RSA_BITS} is the least"
    elif isinstance(public, ec.EllipticCurvePublicKey) and rsa_wanted:
        yield "warning", "an elliptic-curve key: Teams documents RSA cipher suites only; take an RSA key"
    elif rsa_wanted and not isinstance(public, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        yield "failure", "Teams takes RSA keys"


def _time_lines(chain: list[x509.Certificate], now: float) -> Iterator[Line]:
    for index, certificate in enumerate(chain):
        what = "it" if index == 0 else f"number {index + 1} of the chain"
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now < begins.timestamp():
            yield "failure", f"{what} is not valid before {begins:%Y-%m-%d %H:%M} UTC"
        elif now >= ends.timestamp():
            yield "failure", f"{what} expired on {ends:%Y-%m-%d}"
        elif ends.timestamp() - now < WARN_DAYS * DAY_S:
            yield "warning", f"{what} expires on {ends:%Y-%m-%d}, in {(ends - _utc(now)).days} days"


def _utc(now: float) -> datetime:
    return datetime.fromtimestamp(now, UTC)


def _name_lines(leaf: x509.Certificate, names: tuple[str, ...]) -> Iterator[Line]:
    has = subject_names(leaf)
    for name in names:
        if not any(covers(pattern, name) for pattern in has):
            there = f"it names {', '.join(has)}" if has else "it has no subject alternative name"
            yield "failure", f"it is not for {name}, which Teams compares with the Contact; {there}"


def _purpose_lines(leaf: x509.Certificate) -> Iterator[Line]:
    try:
        usages = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.SERVER_AUTH not in usages:
        yield "failure", "it may not be used by a server (extended key usage lacks serverAuth)"
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usages:
        yield "warning", "it is for servers only (no clientAuth); Teams has asked for both since March 2024"


def _chain_lines(chain: list[x509.Certificate]) -> Iterator[Line]:
    for index, (certificate, issuer) in enumerate(pairwise(chain), 1):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (ValueError, TypeError, InvalidSignature):
            yield (
                "failure",
                f"number {index + 1} of the chain did not issue number {index}; put them in order",
            )
    if chain[0].issuer == chain[0].subject:
        yield "warning", "it is self-signed: Teams refuses it"
    elif len(chain) == 1:
        yield "warning", "the chain has no intermediate: if its authority has one, Teams' connections break"
