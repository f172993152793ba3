"""Peers that connect to us over TLS: which certificates are taken, which are not, and what is said about it."""

import asyncio
import datetime as dt
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from sbc.transport import Limits, Listener
from tests.support.transport_node import Box, open_box, rule, status_of, until
from tests.support.wire import options

TLS = Listener("tls", "TLS", "127.0.0.1", 0, "sbc", ("customers", "sbc"))
HUB = ("hub.contoso.example",)


def client(papers, shown: str | None, *, maximum=ssl.TLSVersion.TLSv1_3) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(papers.ca))
    made.check_hostname = False
    made.maximum_version = maximum
    if shown is not None:
        made.load_cert_chain(*papers.pair(shown))
    return made


async def ask(box: Box, tls: ssl.SSLContext, source: str = "127.0.0.1", name: str = "") -> int | str:
    """Ask OPTIONS; the status, or the fault's words."""
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1",
            box.port("tls"),
            ssl=tls,
            server_hostname=name or "sbc1.contoso.example",
            local_addr=(source, 0),
        )
    except (ssl.SSLError, OSError) as error:
        return str(error)
    try:
        writer.write(options("sbc1.contoso.example", 5061, writer.get_extra_info("sockname"), "TLS"))
        return await status_of(reader)
    except (ssl.SSLError, OSError) as error:
        return str(error)
    finally:
        writer.close()


@pytest.fixture
async def box(keep, papers) -> Box:
    """127.0.0.2 is a hub that may be server-only, 127.0.0.3 one that may not, 127.0.0.1 a phone without certificate."""
    strict = {"require_certificate": True, "accepted_sans": HUB, "ca_file": papers.ca}
    made = await open_box(
        [TLS],
        [
            rule("teams", "tls", "127.0.0.2/32", accept_server_auth_only=True, **strict),
            rule("strict", "tls", "127.0.0.3/32", **strict),
            rule("deep", "tls", "127.0.0.4/32", **{**strict, "ca_file": papers.folder / "deep-ca.pem"}),
            rule("phone", "tls", "127.0.0.1/32"),
        ],
        {name: papers.pair(name) for name in ("sbc", "customers")},
    )
    keep.push_async_callback(made.transport.stop)
    return made


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_only_certificate_is_taken_where_the_trunk_says_so(box: Box, papers, version) -> None:
    tls = client(papers, "hub-server-only", maximum=version)
    assert await ask(box, tls, "127.0.0.2") == 200
    assert box.heard.messages[0][1].trunk == "teams"
    assert await ask(box, tls, "127.0.0.3") != 200
    await until(lambda: box.heard.rejected)
    assert "not made for this purpose" in box.heard.rejected[0][1]


async def test_a_chain_with_its_intermediate_is_taken_and_one_without_is_not(box: Box, papers) -> None:
    assert await ask(box, client(papers, "hub-deep"), "127.0.0.4") == 200
    assert await ask(box, client(papers, "hub-short-chain"), "127.0.0.4") != 200
    await until(lambda: box.heard.rejected)
    assert "missing intermediate" in box.heard.rejected[0][1]


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("hub-expired", "it has expired"),
        ("hub-strange", "not trusted here"),
        ("agent", "is for agent.contoso.example, trunk strict accepts hub.contoso.example"),
        (None, "certificate"),
    ],
)
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_refused_peer_gets_an_alert_and_the_admin_a_sentence(
    box: Box, papers, shown, words, version
) -> None:
    answer = await ask(box, client(papers, shown, maximum=version), "127.0.0.3")
    assert "alert" in str(answer).lower(), "the peer is told by a TLS alert, not by a cut connection"
    await until(lambda: box.heard.rejected)
    assert words in box.heard.rejected[0][1]
    assert not box.heard.messages
    await until(lambda: box.transport.connections == 0)


async def test_a_leaf_cannot_stand_in_for_an_authority(box: Box, papers, tmp_path) -> None:
    """A certificate of anybody's from the right CA signs one for the hub: the purpose is forgiven, this is not."""
    chain, key = papers.pair("hub-server-only")
    signer = x509.load_pem_x509_certificate(chain.read_bytes())
    signer_key = serialization.load_pem_private_key(key.read_bytes(), None)
    leaf_key = serialization.load_pem_private_key(papers.pair("agent")[1].read_bytes(), None)
    now = dt.datetime.now(dt.UTC)
    forged = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(signer.subject)
        .public_key(leaf_key.public_key())
        .serial_number(77)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HUB[0])]), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(signer_key, hashes.SHA256())
    )
    (tmp_path / "c").write_bytes(forged.public_bytes(serialization.Encoding.PEM) + chain.read_bytes())
    tls = client(papers, None)
    tls.load_cert_chain(tmp_path / "c", papers.pair("agent")[1])
    assert await ask(box, tls, "127.0.0.2") != 200
    await until(lambda: box.heard.rejected)


async def test_the_name_that_is_asked_for_chooses_the_certificate(box: Box, papers) -> None:
    for name, shown in (
        ("a.customers.contoso.example", "*.customers.contoso.example"),
        ("other", "sbc1.contoso.example"),
    ):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", box.port("tls"), ssl=client(papers, None), server_hostname=name
        )
        certificate = writer.get_extra_info("peercert")
        assert ("DNS", shown) in certificate["subjectAltName"]
        writer.close()


async def test_a_message_that_comes_together_with_the_goodbye_is_heard(keep, box: Box, papers) -> None:
    """One segment with the last request and the close_notify: decrypted together, none of it is lost."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = client(papers, None).wrap_bio(incoming, outgoing, server_hostname="sbc1.contoso.example")
    reader, writer = await asyncio.open_connection("127.0.0.1", box.port("tls"))
    keep.callback(writer.close)
    while True:
        try:
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            writer.write(outgoing.read())
            incoming.write(await reader.read(65536))
    tls.write(options("sbc1.contoso.example", 5061, ("127.0.0.1", 9), "TLS"))
    with pytest.raises(ssl.SSLWantReadError):
        tls.unwrap()
    writer.write(outgoing.read())
    await until(lambda: box.heard.lost)
    assert len(box.heard.messages) == 1


async def test_handshakes_that_never_end_are_limited_and_cut(keep, papers) -> None:
    limits = Limits(handshakes=5, handshakes_per_source=3, handshake_timeout_s=0.5)
    box = await open_box(
        [TLS],
        [rule("phone", "tls", "127.0.0.0/8")],
        {n: papers.pair(n) for n in ("sbc", "customers")},
        limits=limits,
    )
    keep.push_async_callback(box.transport.stop)
    held = [
        await asyncio.open_connection("127.0.0.1", box.port("tls"), local_addr=(f"127.0.0.{source}", 0))
        for source in (1, 1, 1, 1, 2, 2, 2)
    ]
    keep.callback(lambda: [writer.close() for _, writer in held])
    await until(lambda: len(box.heard.rejected) == 2)
    assert {word for word, _ in box.heard.rejected} == {"limit"}
    await until(lambda: box.transport.connections == 0)
    assert await ask(box, client(papers, None)) == 200, "room again"


async def test_two_trunks_in_one_range_are_told_apart_by_their_certificates(keep, papers) -> None:
    strict = {"require_certificate": True}
    box = await open_box(
        [TLS],
        [
            rule("hub", "tls", accepted_sans=HUB, ca_file=papers.ca, **strict),
            rule("deep", "tls", accepted_sans=HUB, ca_file=papers.folder / "deep-ca.pem", **strict),
            rule("phone", "tls"),
        ],
        {n: papers.pair(n) for n in ("sbc", "customers")},
    )
    keep.push_async_callback(box.transport.stop)
    for shown in ("hub", "hub-deep", None):
        assert await ask(box, client(papers, shown)) == 200
    assert [flow.trunk for _, flow in box.heard.messages] == ["hub", "deep", "phone"]
