"""A transport on loopback with recorders, for tests that need sockets but no calls."""

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from certs import CertificateStore
from certs.store import Files
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.transport import Callbacks, Flow, Limits, Listener, PeerRule, Resolver, SipTransport


@dataclass
class Heard:
    """What a transport told."""

    messages: list[tuple[Request | Response, Flow]] = field(default_factory=list)
    malformed: list[tuple[ParseError, Flow]] = field(default_factory=list)
    lost: list[tuple[Flow, str]] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Box:
    """A transport, and what it told."""

    transport: SipTransport
    heard: Heard
    certificates: CertificateStore

    def port(self, listener: str) -> int:
        """Return the port of a listener."""
        return self.transport.ports[listener]


def rule(trunk: str, listeners: str, *sources: str, **more: object) -> PeerRule:
    """Write a rule in one line."""
    nets = tuple(ipaddress.ip_network(source) for source in sources or ("127.0.0.0/8",))
    return PeerRule(trunk, frozenset(listeners.split()), nets, **more)  # type: ignore[arg-type]


async def open_box(
    listeners: list[Listener],
    rules: list[PeerRule],
    files: dict[str, tuple[Path, Path]] | None = None,
    *,
    limits: Limits | None = None,
    static: dict[str, tuple[str, ...]] | None = None,
    on_message: Callable[[Request | Response, Flow], None] | None = None,
) -> Box:
    """Start a transport; requests are answered 200 unless ``on_message`` says otherwise."""
    heard = Heard()

    def message(what: Request | Response, flow: Flow) -> None:
        heard.messages.append((what, flow))
        if on_message is not None:
            on_message(what, flow)
        elif isinstance(what, Request):
            flow.send(what.response(200, to_tag="t").encode())

    store = CertificateStore({name: Files(*pair) for name, pair in (files or {}).items()})
    store.load()
    transport = SipTransport(
        listeners,
        rules,
        store,
        Resolver(asyncio.get_running_loop().time, static=static, nameservers=("127.0.0.1",), timeout_s=0.2),
        limits or Limits(),
        Callbacks(
            message=message,
            malformed=lambda error, flow: heard.malformed.append((error, flow)),
            lost=lambda flow, why: heard.lost.append((flow, why)),
            rejected=lambda _remote, word, why: heard.rejected.append((word, why)),
        ),
    )
    await transport.start()
    return Box(transport, heard, store)


async def until(condition: Callable[[], object], limit_s: float = 5.0) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(limit_s):
        while not condition():
            await asyncio.sleep(0.002)


async def status_of(reader: asyncio.StreamReader) -> int:
    """Read one bodiless response and return its status; 0 at the end of the stream."""
    try:
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
    except asyncio.IncompleteReadError:
        return 0
    return int(head.split(b" ", 2)[1])
