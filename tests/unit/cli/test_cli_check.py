"""`trunkline check` names what would make calls fail; its exit code is the number of failures."""

import datetime as dt
import json
import socket
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from config import Settings, Target, Tenant, Trunk, load_settings
from trunkline import check
from trunkline.check_certificates import covers, inspect_pair

START = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
NOW = START.timestamp() + 10 * 86_400
FQDN = "sbc1.contoso.example"
Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
BOTH = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)


@pytest.fixture(scope="module")
def keys() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    return rsa.generate_private_key(65537, 2048), rsa.generate_private_key(65537, 2048)


def named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certify(
    key: Key,
    issuer_key: Key,
    *,
    issuer: str = "CA",
    name: str = FQDN,
    days: int = 365,
    usages: tuple[x509.ObjectIdentifier, ...] = BOTH,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(name))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(START)
        .not_valid_after(START + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    return builder.sign(issuer_key, hashes.SHA256()).public_bytes(Encoding.PEM)


def pem(key: Key, password: bytes | None = None) -> bytes:
    form = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form)


def inspect(
    chain: bytes, key: bytes, password: str | None = None, names: tuple[str, ...] = (FQDN,)
) -> list[str]:
    lines = inspect_pair(chain, key, password=password, names=names, rsa_wanted=True, now=NOW)
    return [f"{result}: {detail}" for result, detail in lines]


def test_a_right_pair_is_described(keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]) -> None:
    leaf, ca = keys
    chain = certify(leaf, ca) + certify(ca, ca, name="CA")
    assert inspect(chain, pem(leaf)) == [f"ok: {FQDN}; 355 days left; 2 in the chain"]


def test_each_fault_of_a_pair_is_named(keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]) -> None:
    leaf, ca = keys
    root = certify(ca, ca, name="CA")
    good, key = certify(leaf, ca) + root, pem(leaf)
    curve = ec.generate_private_key(ec.SECP256R1())
    short = rsa.generate_private_key(65537, 1024)
    locked = pem(leaf, b"hush")
    cases = [
        (inspect(b"", key), "failure: the chain file holds no certificate"),
        (inspect(good, b"x"), "failure: the key file holds no private key"),
        (inspect(good, pem(ca)), "failure: the key does not belong"),
        (inspect(good, locked), "failure: the key is encrypted"),
        (inspect(good, locked, "wrong"), "failure: the key file holds no private key, or key_password"),
        (inspect(good, key, "hush"), "failure: a key_password is given, but"),
        (inspect(good, key, None, ("a.b.example",)), "failure: it is not for a.b.example, which Teams"),
        (inspect(certify(leaf, ca, days=5) + root, key), "failure: it expired on 2026-01-06"),
        (inspect(certify(leaf, ca, days=20) + root, key), "warning: it expires on 2026-01-21, in 10 days"),
        (inspect(good + certify(leaf, leaf), key), "failure: number 3 of the chain did not issue number 2"),
        (inspect(certify(leaf, ca), key), "warning: the chain has no intermediate"),
        (inspect(certify(leaf, leaf, issuer=FQDN), key), "warning: it is self-signed"),
        (inspect(certify(leaf, ca, usages=BOTH[1:]) + root, key), "failure: it may not be used by a server"),
        (inspect(certify(leaf, ca, usages=BOTH[:1]) + root, key), "warning: it is for servers only"),
        (inspect(certify(curve, ca) + root, pem(curve)), "warning: an elliptic-curve key"),
        (inspect(certify(short, ca) + root, pem(short)), "failure: an RSA key of 1024 bits"),
    ]  # fmt: skip
    for lines, wanted in cases:
        assert any(line.startswith(wanted) for line in lines), (wanted, lines)
    assert inspect(good, locked, "hush")[0].startswith("ok")


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("sbc1.contoso.example", "SBC1.contoso.example.", True),
        ("*.contoso.example", "sbc1.contoso.example", True),
        ("*.contoso.example", "a.b.contoso.example", False),
        ("*.contoso.example", "contoso.example", False),
        ("*.contoso.example", ".contoso.example", False),
    ],
)
def test_a_wildcard_is_one_label(pattern: str, name: str, covered: bool) -> None:
    assert covers(pattern, name) is covered


class FakeProber:
    def __init__(self) -> None:
        self.hub_error: OSError | None = None
        self.people: tuple[int, list[str]] | OSError = (3, [])

    async def probe_hub(self, settings: Settings, trunk: Trunk, target: Target) -> str:
        if self.hub_error is not None:
            raise self.hub_error
        return "200 in 12 ms"

    def read_directory(self, tenant: Tenant) -> tuple[int, list[str]]:
        if isinstance(self.people, OSError):
            raise self.people
        return self.people


@pytest.fixture
def settings(tmp_path: Path, keys: tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]) -> Settings:
    leaf, ca = keys
    (tmp_path / "chain.pem").write_bytes(
        certify(leaf, ca, days=20_000) + certify(ca, ca, name="CA", days=20_000)
    )
    (tmp_path / "key.pem").write_bytes(pem(leaf))
    (tmp_path / "people.csv").write_text("x")
    file = tmp_path / "t.toml"
    file.write_text(f"""\
[node]
fqdn = "{FQDN}"
[http]
port = 0
[certificates.main]
chain = "chain.pem"
key = "key.pem"
[[listeners]]
name = "tls"
transport = "tls"
address = "127.0.0.1"
port = 0
certificate = "main"
[media]
address = "127.0.0.1"
[[tenants]]
name = "contoso"
directory = "people.csv"
[[trunks]]
name = "teams"
kind = "teams"
targets = ["hub.contoso.example"]
""")
    return load_settings(file, {})


async def found(settings: Settings, prober: FakeProber, *, offline: bool = False) -> dict[str, check.Finding]:
    return {item.subject: item async for item in check.findings(settings, prober, offline=offline)}


async def test_all_is_well(settings: Settings) -> None:
    seen = await found(settings, FakeProber())
    assert {item.result for item in seen.values()} == {"ok"}
    assert seen["trunk teams, hub.contoso.example:5061"].detail == "200 in 12 ms"
    assert "trunk teams, hub.contoso.example:5061" not in await found(settings, FakeProber(), offline=True)


async def test_a_silent_hub_and_a_broken_directory_are_failures(settings: Settings) -> None:
    prober = FakeProber()
    prober.hub_error = ConnectionRefusedError("refused by 192.0.2.1")
    prober.people = OSError("people.csv is not UTF-8")
    seen = await found(settings, prober)
    assert {item.subject for item in seen.values() if item.result == "failure"} == {
        "trunk teams, hub.contoso.example:5061",
        "directory of contoso",
    }
    prober.people = (2, ["line 3: no number"])
    assert (await found(settings, prober))["directory of contoso"].result == "warning"
    prober.people = (0, [])
    assert (await found(settings, prober))["directory of contoso"].result == "failure"


def test_a_taken_port_is_a_failure_unless_the_running_node_has_it(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        listener = settings.listeners[0].model_copy(update={"port": port})
        elsewhere = listener.model_copy(update={"address": "192.0.2.1", "port": 5999})
        changed = settings.model_copy(update={"listeners": (listener, elsewhere)})
        words = {item.subject: item for item in check.check_ports(changed, running=False)}
        assert words[f"port tls 127.0.0.1:{port}"].detail == "taken by another program"
        assert words["port tls 192.0.2.1:5999"].detail == "this machine has no address 192.0.2.1"
        words = {item.subject: item for item in check.check_ports(changed, running=True)}
        assert words[f"port tls 127.0.0.1:{port}"].result == "ok"
    assert not check.running_node(settings)


def test_the_exit_code_is_the_number_of_failures(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prober = FakeProber()
    prober.hub_error = TimeoutError("no answer within 5 s")
    monkeypatch.setattr(check.importlib, "import_module", lambda name: prober)
    assert check.main(settings, as_json=False, offline=False) == 1
    output = capsys.readouterr().out
    assert "failure  trunk teams, hub.contoso.example:5061: no answer within 5 s\n1 failure\n" in output
    assert check.main(settings, as_json=True, offline=True) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["ok"]
    assert answer["findings"][0]["subject"] == "configuration"
