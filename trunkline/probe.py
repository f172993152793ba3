"""What `trunkline check` can only learn by doing as the service does: asking a hub, reading a directory."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

from certs import CertificateError, CertificateStore
from certs.store import Files
from config import Settings, Target, Tenant
from config import Trunk as TrunkSettings
from directory import DirectoryError, Index, read_people
from sbc.connector import Connector
from sbc.endpoint import Endpoint
from sbc.service import transport_limits
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.timers import Timers
from sbc.transport import Callbacks, Listener, PeerRule, Resolver, SipTransport
from sbc.trunks.monitor import probe
from sbc.trunks.trunk import Trunk

ANSWER_S = 10.0


class _Nothing:
    """Counts nothing."""

    def received(self, message: Request | Response) -> None:
        """Count nothing."""

    def sent(self, message: Request | Response) -> None:
        """Count nothing."""

    def malformed(self, error: ParseError) -> None:
        """Count nothing."""


async def probe_hub(settings: Settings, trunk: TrunkSettings, target: Target) -> str:
    """Resolve, connect as the service would, ask OPTIONS; returns what answered. Raises OSError with a sentence."""
    loop = asyncio.get_running_loop()
    certificates = CertificateStore(
        {
            name: Files(
                item.chain, item.key, item.key_password.get_secret_value() if item.key_password else None
            )
            for name, item in settings.certificates.items()
        }
    )
    try:
        certificates.load()
    except CertificateError as error:
        raise OSError(str(error)) from None
    view = Trunk(trunk, settings)
    timers = Timers(settings.timers.t1_s, settings.timers.t2_s, settings.timers.t4_s)
    endpoint = Endpoint({trunk.name: view}, loop, timers, _Nothing(), max_transactions=100)
    resolver = Resolver(loop.time, static=settings.dns.static, nameservers=settings.dns.nameservers)
    # datagrams need a socket to leave from; any port will do for one question
    sockets = (Listener(trunk.listener, "UDP", "0.0.0.0", 0),) if target.transport == "udp" else ()  # noqa: S104
    transport = SipTransport(
        sockets,
        (_anybody(trunk),),
        certificates,
        resolver,
        transport_limits(settings),
        Callbacks(
            endpoint.on_message, endpoint.on_parse_error, endpoint.on_flow_closed, lambda _r, _w, _y: None
        ),
    )
    await transport.start()
    endpoint.connector = Connector(transport)
    try:
        answer = await asyncio.wait_for(probe(endpoint, view, target), ANSWER_S)
    except TimeoutError:
        raise OSError(f"connected, but no answer to OPTIONS within {ANSWER_S:g} s") from None
    finally:
        endpoint.connector.stop()
        await transport.stop()
    if isinstance(answer, str):
        raise OSError(answer)
    server = answer.headers.first("Server") or answer.headers.first("User-Agent") or "unnamed"
    if answer.status >= 300:
        reason = answer.headers.first("Reason") or answer.reason
        raise OSError(f"answers OPTIONS with {answer.status}: {reason} ({server})")
    return f"{answer.status} {answer.reason} from {server}"


def _anybody(trunk: TrunkSettings) -> PeerRule:
    """Let the answer in, from wherever the trunk's peer may speak."""
    return PeerRule(
        trunk.name, frozenset([trunk.listener]), tuple(ip_network(str(source)) for source in trunk.sources)
    )


def read_directory(tenant: Tenant) -> tuple[int, list[str]]:
    """Read a tenant's directory; returns how many people it has, and its findings. Raises OSError with a sentence."""
    if tenant.directory is None:
        return 0, ["no directory is configured: nobody can be called by name"]
    try:
        people, findings = read_people(tenant.directory)
    except DirectoryError as error:
        raise OSError(str(error)) from None
    return len(people), [str(finding) for finding in (*findings, *Index(people).findings)]
