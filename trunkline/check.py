"""`trunkline check`: finds what would make calls fail, before one does. One finding a line.

Certificates, ports and directory files are looked at here; hubs are asked through the prober that the
composition root supplies (`trunkline.probe`), so that the check speaks TLS and SIP exactly as the service
does.
"""

import asyncio
import contextlib
import errno
import importlib
import json
import socket
import time
import urllib.request
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import typer

from config import Settings, Target, Tenant, Trunk
from trunkline.check_certificates import inspect_pair

MOST_FAILURES = 100
"""The largest exit code; beyond it codes would wrap."""
STATUS_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    """What, as `certificate public`, `port tls 0.0.0.0:5061`, `hub sip.pstnhub.microsoft.com:5061`."""
    result: Literal["ok", "warning", "failure"]
    detail: str
    """What was found, in a sentence that says what to do about a failure."""


class Prober(Protocol):
    """What only the services themselves can tell; a module `trunkline.probe` with these functions."""

    async def probe_hub(self, settings: Settings, trunk: Trunk, target: Target) -> str:
        """Resolve, connect over TLS, ask OPTIONS; give what answered. Raises OSError with a sentence."""
        ...

    def read_directory(self, tenant: Tenant) -> tuple[int, list[str]]:
        """Read the tenant's directory; give how many people it has and its findings. Raises OSError."""
        ...


def main(settings: Settings, *, as_json: bool, offline: bool) -> int:
    """Check everything, print a line each, give the number of failures (`MOST_FAILURES` at most)."""
    prober: Any = importlib.import_module("trunkline.probe")
    return asyncio.run(_report(findings(settings, prober, offline=offline), as_json=as_json))


async def findings(settings: Settings, prober: Prober, *, offline: bool) -> AsyncIterator[Finding]:
    """Give the findings as they are made; hubs last, because they take longest."""
    yield Finding(
        "configuration", "ok", f"{len(settings.trunks)} trunks, {len(settings.listeners)} listeners"
    )
    for finding in check_certificates(settings, time.time()):
        yield finding
    running = await asyncio.to_thread(running_node, settings)
    for finding in check_ports(settings, running=running):
        yield finding
    for tenant in settings.tenants:
        yield await asyncio.to_thread(check_directory, tenant, prober)
    if not offline:
        asked = [
            _check_hub(settings, trunk, target, prober)
            for trunk in settings.trunks
            for target in trunk.parsed_targets()
        ]
        for answer in asyncio.as_completed(asked):
            yield await answer


async def _report(found: AsyncIterator[Finding], *, as_json: bool) -> int:
    seen: list[Finding] = []
    async for finding in found:
        seen.append(finding)
        if not as_json:
            typer.echo(f"{finding.result:8} {finding.subject}: {finding.detail}")
    failures = sum(finding.result == "failure" for finding in seen)
    if as_json:
        answer = {"ok": not failures, "failures": failures, "findings": [asdict(item) for item in seen]}
        typer.echo(json.dumps(answer, indent=2))
    else:
        typer.echo(f"{failures} failure{'' if failures == 1 else 's'}")
    return min(failures, MOST_FAILURES)


def check_certificates(settings: Settings, now: float) -> Iterator[Finding]:
    """Look into each certificate with the eyes of the peers that will see it. `now`: seconds since 1970."""
    for name, files in settings.certificates.items():
        for_teams = tuple(
            dict.fromkeys(
                trunk.fqdn for trunk in settings.trunks if trunk.certificate == name and trunk.kind == "teams"
            )
        )
        names = for_teams or tuple(
            dict.fromkeys(trunk.fqdn for trunk in settings.trunks if trunk.certificate == name)
        )
        password = files.key_password.get_secret_value() if files.key_password is not None else None
        subject = f"certificate {name}"
        for result, detail in inspect_pair(
            files.chain.read_bytes(),
            files.key.read_bytes(),
            password=password,
            names=names,
            rsa_wanted=bool(for_teams),
            now=now,
        ):
            yield Finding(subject, result, detail)


def running_node(settings: Settings) -> bool:
    """Tell whether this very node is running here: it answers at the HTTP port with the same name."""
    http = settings.http
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(http.address, http.address)  # noqa: S104 - to call, not to bind
    url = f"http://{f'[{host}]' if ':' in host else host}:{http.port}/api/v1/status"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with contextlib.suppress(OSError, ValueError), opener.open(url, timeout=STATUS_TIMEOUT_S) as answer:
        state = json.loads(answer.read())
        return isinstance(state, dict) and state.get("fqdn") == settings.node.fqdn
    return False


def check_ports(settings: Settings, *, running: bool) -> Iterator[Finding]:
    """Bind each port for a moment; ports that the running node holds are its own."""
    wanted: list[tuple[str, str, int, str]] = [
        (item.transport, item.address, item.port, item.name) for item in settings.listeners
    ]
    wanted.append(("http", settings.http.address, settings.http.port, "http"))
    media = settings.media
    if media.engine == "relay":
        wanted.append(("media udp", media.bind_address, 0, "media"))
        wanted += [("media udp", item.bind_address, 0, item.name) for item in media.interfaces]
    for kind, address, port, name in wanted:
        subject = f"port {kind} {address}:{port}" if port else f"address {kind} {address}"
        error = bind_error(address, port, udp=kind.endswith("udp"))
        if error is None:
            yield Finding(subject, "ok", f"free, for {name}")
        elif error.errno == errno.EADDRINUSE and running:
            yield Finding(subject, "ok", f"held by the running node, for {name}")
        else:
            yield Finding(subject, "failure", _bind_sentence(error, address))


def bind_error(address: str, port: int, *, udp: bool) -> OSError | None:
    """Try to bind; give the error, or None when it went well."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM if udp else socket.SOCK_STREAM) as probe:
        try:
            if not udp:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            if not udp:
                probe.listen(1)  # on Linux only this tells that another socket listens
        except OSError as error:
            return error
    return None


def _bind_sentence(error: OSError, address: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return "taken by another program"
    if error.errno == errno.EADDRNOTAVAIL:
        return f"this machine has no address {address}"
    if error.errno == errno.EACCES:
        return "this user may not use the port (below 1024)"
    return str(error.strerror)


def check_directory(tenant: Tenant, prober: Prober) -> Finding:
    """Read the tenant's people."""
    subject = f"directory of {tenant.name}"
    if tenant.directory is None:
        return Finding(subject, "warning", "none is named: nobody can be called by name or extension")
    try:
        people, problems = prober.read_directory(tenant)
    except OSError as error:
        return Finding(subject, "failure", str(error))
    if not people:
        return Finding(subject, "failure", f"{tenant.directory} holds nobody")
    if problems:
        return Finding(
            subject, "warning", f"{people} people, {len(problems)} findings, the first: {problems[0]}"
        )
    return Finding(subject, "ok", f"{people} people")


async def _check_hub(settings: Settings, trunk: Trunk, target: Target, prober: Prober) -> Finding:
    subject = f"trunk {trunk.name}, {target.host}:{target.port}"
    try:
        return Finding(subject, "ok", await prober.probe_hub(settings, trunk, target))
    except OSError as error:
        # A Talkdesk peer need not answer OPTIONS; a hub must.
        return Finding(subject, "failure" if trunk.kind == "teams" else "warning", str(error))
