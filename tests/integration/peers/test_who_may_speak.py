"""Which peers are heard is decided by address and certificate, before any SIP."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from certs import CertificateAuthority
from tests.support.node import FQDN, HUB, HUB_ADDRESS, SBC_ADDRESS, Node
from tests.support.wire import answers_options, closed_within, options

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.xdist_group("peers")]

EXTRA = """
[limits]
first_message_timeout_s = 1.0
handshake_timeout_s = 1.0
connections_per_source = 40
"""


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def node(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Node]:
    made = Node(tmp_path_factory.mktemp("node"), extra=EXTRA)
    await made.start()
    yield made
    assert await made.stop() == 0
    assert "Traceback" not in made.log(), made.log()


def context(
    node: Node, identity: str | None, *, minimum=ssl.TLSVersion.TLSv1_2, maximum=ssl.TLSVersion.TLSv1_3
) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(node.folder / "ca.pem"))
    made.minimum_version, made.maximum_version = minimum, maximum
    if identity is not None:
        made.load_cert_chain(node.folder / f"{identity}.pem", node.folder / f"{identity}.key")
    return made


async def ask(node: Node, tls: ssl.SSLContext, source: str) -> str:
    """Connect over TLS and ask OPTIONS; returns the status line, or why there is none."""
    try:
        reader, writer = await asyncio.open_connection(
            SBC_ADDRESS, node.tls, ssl=tls, server_hostname=FQDN, local_addr=(source, 0)
        )
    except (ssl.SSLError, OSError) as error:
        return f"refused: {error}"
    try:
        local = writer.get_extra_info("sockname")
        writer.write(options(FQDN, node.tls, local, "TLS"))
        line = await asyncio.wait_for(reader.readline(), 5)
        return line.decode().strip() or "refused: closed"
    except (ssl.SSLError, OSError) as error:
        return f"refused: {error}"
    finally:
        writer.close()


async def test_the_hubs_certificate_from_the_hubs_address_is_heard(node: Node) -> None:
    """It is made for servers only, as Microsoft's are, and the teams trunk accepts that."""
    assert await ask(node, context(node, "hub"), HUB_ADDRESS) == "SIP/2.0 200 OK"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_tls_1_2_and_1_3_are_spoken(node: Node, version: ssl.TLSVersion) -> None:
    tls = context(node, "hub", minimum=version, maximum=version)
    assert await ask(node, tls, HUB_ADDRESS) == "SIP/2.0 200 OK"


async def test_tls_1_1_is_refused(node: Node) -> None:
    tls = context(node, "hub")
    tls.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        tls.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning):
        tls.maximum_version = ssl.TLSVersion.TLSv1_1
    assert (await ask(node, tls, HUB_ADDRESS)).startswith("refused")


async def test_the_right_certificate_from_another_address_is_refused(node: Node) -> None:
    """127.0.0.3 belongs to no trunk: not even a handshake."""
    before = node.metric("trunkline_rejected_connections_total")
    assert (await ask(node, context(node, "hub"), "127.0.0.3")).startswith("refused")
    assert node.metric("trunkline_rejected_connections_total") > before


@pytest.mark.parametrize("identity", ["stranger", None, "agent"])
async def test_a_wrong_certificate_from_the_hubs_address_is_refused(node: Node, identity: str | None) -> None:
    """Another CA, none at all, and the right CA with another name."""
    assert (await ask(node, context(node, identity), HUB_ADDRESS)).startswith("refused")


async def test_an_expired_certificate_is_refused_and_the_log_says_so(node: Node) -> None:
    authority_pem = (node.folder / "ca.pem").read_bytes()
    other = CertificateAuthority("Short-lived CA")
    other.issue(HUB, days=-1).write(node.folder / "expired.pem", node.folder / "expired.key")
    assert authority_pem != other.root_pem
    assert (await ask(node, context(node, "expired"), HUB_ADDRESS)).startswith("refused")


async def test_an_agents_tls_needs_no_certificate(node: Node) -> None:
    assert await ask(node, context(node, None), SBC_ADDRESS) == "SIP/2.0 200 OK"


async def test_a_datagram_from_a_stranger_is_not_answered(node: Node) -> None:
    assert answers_options(SBC_ADDRESS, node.sip)
    assert not answers_options(SBC_ADDRESS, node.sip, source="127.0.0.3", limit_s=0.3)


async def test_a_peer_that_connects_and_says_nothing_is_dropped(node: Node) -> None:
    reader, writer = await asyncio.open_connection(SBC_ADDRESS, node.sip)
    assert await closed_within(reader, 5)
    writer.close()


async def test_a_tls_peer_that_never_shakes_hands_is_dropped(node: Node) -> None:
    reader, writer = await asyncio.open_connection(SBC_ADDRESS, node.tls, local_addr=(HUB_ADDRESS, 0))
    assert await closed_within(reader, 5)
    writer.close()


async def test_a_slow_drip_of_a_message_is_still_read(node: Node) -> None:
    reader, writer = await asyncio.open_connection(SBC_ADDRESS, node.sip)
    request = options(SBC_ADDRESS, node.sip, writer.get_extra_info("sockname"), "TCP")
    for position in range(0, len(request), 40):
        writer.write(request[position : position + 40])
        await writer.drain()
        await asyncio.sleep(0.005)
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"SIP/2.0 200")
    writer.close()


async def test_many_connections_from_one_source_are_limited_and_others_still_served(node: Node) -> None:
    held = []
    for _ in range(60):
        try:
            held.append(await asyncio.open_connection(SBC_ADDRESS, node.sip, local_addr=(SBC_ADDRESS, 0)))
        except OSError:
            break
    assert answers_options(SBC_ADDRESS, node.sip)
    assert await ask(node, context(node, "hub"), HUB_ADDRESS) == "SIP/2.0 200 OK"
    for _, writer in held:
        writer.close()


async def test_a_ping_gets_its_pong(node: Node) -> None:
    reader, writer = await asyncio.open_connection(SBC_ADDRESS, node.sip)
    writer.write(b"\r\n\r\n")
    assert await asyncio.wait_for(reader.readexactly(2), 3) == b"\r\n"
    writer.close()


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx\r\n\r\n", b"SIP/2.0 400"),
        (b"OPTIONS http://b SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKy;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b>\r\n"
         b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", b"SIP/2.0 416"),
        (b"OPTIONS sip:b SIP/7.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKz;rport\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:b>\r\n"
         b"Call-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n", b"SIP/2.0 505"),
    ],
)  # fmt: skip
async def test_malformed_requests_are_answered_with_the_fault(node: Node, text: bytes, status: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((SBC_ADDRESS, 0))
        sock.settimeout(3)
        port = sock.getsockname()[1]
        sock.sendto(
            text.replace(b"127.0.0.1;branch", f"127.0.0.1:{port};branch".encode()), (SBC_ADDRESS, node.sip)
        )
        assert sock.recv(65536).startswith(status)


async def test_rubbish_is_survived(node: Node) -> None:
    torture = Path(__file__).parents[2] / "golden" / "torture"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((SBC_ADDRESS, 0))
        for file in sorted(torture.glob("*.sip"))[:40]:
            sock.sendto(file.read_bytes()[:60000], (SBC_ADDRESS, node.sip))
        sock.sendto(b"\x00" * 1000, (SBC_ADDRESS, node.sip))
    assert node.metric("trunkline_sip_parse_errors_total") > 0


async def test_a_certificate_is_replaced_while_connections_live(node: Node) -> None:
    """The authority of the node is gone, so the new pair is the hub's: what counts is that it is shown."""
    reader, writer = await asyncio.open_connection(
        SBC_ADDRESS, node.tls, ssl=context(node, None), server_hostname=FQDN
    )
    writer.write(options(FQDN, node.tls, writer.get_extra_info("sockname"), "TLS"))
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"SIP/2.0 200")
    serial = writer.get_extra_info("peercert")["serialNumber"]
    (node.folder / "sbc.key").write_bytes(b"nonsense")
    async with asyncio.timeout(10):
        while "certificate refused" not in node.log():
            await asyncio.sleep(0.05)
    for kind in ("key", "pem"):
        (node.folder / f"sbc.{kind}").write_bytes((node.folder / f"hub.{kind}").read_bytes())
    tls = context(node, None)
    tls.check_hostname = False
    async with asyncio.timeout(15):
        while True:
            _, other = await asyncio.open_connection(SBC_ADDRESS, node.tls, ssl=tls, server_hostname=FQDN)
            shown = other.get_extra_info("peercert")["serialNumber"]
            other.close()
            if shown != serial:
                break
            await asyncio.sleep(0.1)
    writer.write(options(FQDN, node.tls, writer.get_extra_info("sockname"), "TLS"))
    async with asyncio.timeout(5):
        while not (await reader.readline()).startswith(b"SIP/2.0 200"):  # what is left of the first answer
            assert not reader.at_eof(), "the old connection lives on"
    writer.close()
