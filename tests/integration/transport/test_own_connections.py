"""Connections that we open: whom we reach, as whom, and how they are replaced."""

import asyncio
import ssl
from dataclasses import replace

import pytest

from sbc.transport import ConnectFailedError, DnsError, Limits, Listener, Remote, TlsFailedError
from tests.support.transport_node import Box, open_box, rule, until

NAME = "hub.contoso.example"
TCP = Listener("tcp", "TCP", "127.0.0.1", 0)


class Hub:
    """A TLS server that notes who comes."""

    def __init__(self) -> None:
        self.serials: list[int] = []
        self.sni: list[str | None] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.port = 0
        self.server: asyncio.Server

    async def open(
        self, keep, papers, shown: str, host: str = "127.0.0.1", *, maximum=ssl.TLSVersion.TLSv1_3
    ) -> "Hub":
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.maximum_version = maximum
        tls.load_cert_chain(*papers.pair(shown))
        tls.load_verify_locations(papers.ca)
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.sni_callback = lambda _s, name, _c: self.sni.append(name)
        self.server = await asyncio.start_server(self.accepted, host, 0, ssl=tls)
        self.port = self.server.sockets[0].getsockname()[1]
        keep.push_async_callback(self.close)
        return self

    async def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.serials.append(int(writer.get_extra_info("peercert")["serialNumber"], 16))
        self.writers.append(writer)
        try:
            while await reader.read(65536):
                pass
        except OSError:
            pass

    async def close(self) -> None:
        self.server.close()
        for writer in self.writers:
            writer.close()
        await asyncio.sleep(0)


async def mute_server(keep) -> asyncio.Server:
    writers = []
    server = await asyncio.start_server(lambda _r, writer: writers.append(writer), "127.0.0.1", 0)
    keep.callback(lambda: [writer.close() for writer in writers])
    keep.callback(server.close)
    return server


def to(hub: Hub, papers, **more) -> Remote:
    made = Remote("teams", NAME, hub.port, "TLS", "tcp", "sbc", papers.ca)
    return replace(made, **more)


async def our_box(keep, papers, address: str = "127.0.0.1", **more) -> Box:
    box = await open_box(
        [TCP],
        [rule("teams", "tcp")],
        {n: papers.pair(n) for n in ("sbc", "customers")},
        static={NAME: (address,), "two.contoso.example": ("127.0.0.9", "127.0.0.1")},
        **more,
    )
    keep.push_async_callback(box.transport.stop)
    return box


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_callers_share_one_dialling_and_the_hub_sees_our_certificate(keep, papers, version) -> None:
    hub, box = await Hub().open(keep, papers, "hub-server-only", maximum=version), await our_box(keep, papers)
    remote = to(hub, papers)
    assert box.transport.ready(remote) is None
    flows = await asyncio.gather(*(box.transport.connect(remote) for _ in range(20)))
    assert len(set(map(id, flows))) == 1
    assert box.transport.ready(remote) is flows[0]
    await until(lambda: hub.serials)
    assert hub.serials == [box.certificates["sbc"].facts.serial]
    assert hub.sni == [NAME]


async def test_two_tenants_reach_one_hub_on_their_own_connections_with_their_own_certificates(
    keep, papers
) -> None:
    hub, box = await Hub().open(keep, papers, "hub"), await our_box(keep, papers)
    one = await box.transport.connect(to(hub, papers))
    two = await box.transport.connect(to(hub, papers, trunk="customer", certificate="customers"))
    assert one is not two
    await until(lambda: len(hub.serials) == 2)
    assert hub.serials == [box.certificates[name].facts.serial for name in ("sbc", "customers")]


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("agent", "is for agent.contoso.example"),
        ("hub-expired", "it has expired"),
        ("hub-strange", "not trusted here"),
        ("hub-client-only", "not made for this purpose"),
    ],
)
async def test_a_hub_with_a_wrong_certificate_gets_no_request(keep, papers, shown: str, words: str) -> None:
    hub, box = await Hub().open(keep, papers, shown), await our_box(keep, papers)
    with pytest.raises(TlsFailedError, match=words):
        await box.transport.connect(to(hub, papers))
    assert box.transport.ready(to(hub, papers)) is None
    await until(lambda: box.transport.connections == 0)


async def test_faults_have_their_own_errors(keep, papers) -> None:
    box = await our_box(keep, papers, limits=Limits(handshake_timeout_s=0.3))
    with pytest.raises(ConnectFailedError, match="port 1"):
        await box.transport.connect(Remote("t", "127.0.0.1", 1, "TCP", "tcp"))
    silent = await mute_server(keep)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(TlsFailedError, match="handshake"):
        await box.transport.connect(Remote("t", NAME, port, "TLS", "tcp", "sbc", papers.ca))
    for host in ("a" * 64 + ".example", "a..b", ".", "xn--\u00df.example", "nowhere.contoso.example"):
        with pytest.raises(DnsError):
            await box.transport.connect(Remote("t", host, 5060, "TCP", "tcp"))
    with pytest.raises(TlsFailedError, match="no-such-file"):
        await box.transport.connect(
            Remote("t", NAME, port, "TLS", "tcp", "sbc", papers.folder / "no-such-file")
        )


async def test_the_second_address_of_a_name_is_tried(keep, papers) -> None:
    server = await mute_server(keep)
    box = await our_box(keep, papers)
    flow = await box.transport.connect(
        Remote("t", "two.contoso.example", server.sockets[0].getsockname()[1], "TCP", "tcp")
    )
    assert flow.remote[0] == "127.0.0.1"


async def test_after_a_certificate_swap_new_requests_dial_anew_and_the_old_connection_ends_when_quiet(
    keep, papers
) -> None:
    hub, box = await Hub().open(keep, papers, "hub"), await our_box(keep, papers)
    remote, limits = to(hub, papers), Limits()
    old = await box.transport.pool.connect(remote)
    box.transport.renew("customers")
    assert box.transport.ready(remote) is old, "another identity's connections are left alone"
    box.transport.renew("sbc")
    assert box.transport.ready(remote) is None
    new = await box.transport.pool.connect(remote)
    assert new is not old
    now = old.since
    while not old.closed and now < old.since + 600:  # virtual time: what the sweeper does each second
        now += 1.0
        box.transport.pool.look_after(old, now, limits.keepalive_s, limits.max_age_s)
    assert old.closed, "a replaced connection is not kept alive by our own pings"
    assert not new.closed


async def test_a_quiet_connection_is_pinged_and_an_old_one_replaced(keep, papers) -> None:
    hub, box = await Hub().open(keep, papers, "hub"), await our_box(keep, papers)
    flow = await box.transport.pool.connect(to(hub, papers))
    sent = []
    flow.send = sent.append  # type: ignore[method-assign]
    pool = box.transport.pool
    pool.look_after(flow, flow.since + 49, 50, 3300)
    assert sent == []
    pool.look_after(flow, flow.since + 51, 50, 3300)
    assert sent == [b"\r\n\r\n"]
    pool.look_after(flow, flow.since + 3301, 50, 3300)
    assert pool.ready(to(hub, papers)) is None


async def test_a_lost_connection_is_dialled_again(keep, papers) -> None:
    hub, box = await Hub().open(keep, papers, "hub"), await our_box(keep, papers)
    first = await box.transport.connect(to(hub, papers))
    await until(lambda: hub.writers)
    hub.writers[0].close()
    await until(lambda: first.closed)
    second = await box.transport.connect(to(hub, papers))
    assert second is not first
    assert not second.closed
    await until(lambda: [flow for flow, _ in box.heard.lost] == [first])


async def test_ipv6_is_dialled(keep, papers) -> None:
    hub, box = await Hub().open(keep, papers, "hub", "::1"), await our_box(keep, papers, "::1")
    flow = await box.transport.connect(to(hub, papers))
    assert flow.remote == ("::1", hub.port)
