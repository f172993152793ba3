"""`trunkline sandbox`: the whole system on one machine, with a simulated Teams and a simulated contact centre.

Everything lives in one folder (``var/sandbox``): certificates of a CA of its own, the directory, the configuration. The service is
a process of its own, started with that configuration like any other.
"""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import sys
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from certs import CertificateAuthority
from sandbox.caller import Phone
from sandbox.hub import Hub
from sandbox.tenant import AGENT_NUMBER, PEOPLE, write_directory

FQDN = "sbc1.contoso.example"
HUBS = ("sip.pstnhub.contoso.example", "sip2.pstnhub.contoso.example", "sip3.pstnhub.contoso.example")
SBC_ADDRESS = "127.0.0.1"
HUB_ADDRESS = "127.0.0.2"
READY_S = 30.0


@dataclass(frozen=True, slots=True)
class Ports:
    """Where everything listens."""

    sip: int = 5060
    tls: int = 5061
    http: int = 8080
    hub: int = 5061
    agent: int = 5070
    media: int = 30_000

    @classmethod
    def free(cls) -> Ports:
        """Take the usual ports, or where one is taken the next that is free."""
        wanted = cls()
        return cls(
            sip=_free(SBC_ADDRESS, wanted.sip, "udp", "tcp"),
            tls=_free(SBC_ADDRESS, wanted.tls, "tcp"),
            http=_free(SBC_ADDRESS, wanted.http, "tcp"),
            hub=_free(HUB_ADDRESS, wanted.hub, "tcp"),
            agent=_free(SBC_ADDRESS, wanted.agent, "udp"),
            media=_free_range(wanted.media),
        )


def _free(address: str, first: int, *kinds: str) -> int:
    for port in range(first, first + 200):
        if all(_can_bind(address, port, kind) for kind in kinds):
            return port
    raise OSError(f"no free port near {first} on {address}")


def _free_range(first: int) -> int:
    for start in range(first, 60_000, 2000):
        if all(_can_bind(SBC_ADDRESS, port, "udp") for port in range(start, start + 20)):
            return start
    raise OSError("no free ports for media")


def _can_bind(address: str, port: int, kind: str) -> bool:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM)
    try:
        if kind == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
    except OSError:
        return False
    finally:
        sock.close()
    return True


def prepare(folder: Path, ports: Ports, *, log_format: str = "text") -> Path:
    """Write certificates, directory and configuration; returns the configuration's path."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = CertificateAuthority("Trunkline sandbox CA")
    (folder / "ca.pem").write_bytes(authority.root_pem)
    authority.issue(FQDN).write(folder / "sbc.pem", folder / "sbc.key")
    # Microsoft's certificates are made for servers only, and shown as client too
    authority.issue(*HUBS, eku=("serverAuth",)).write(folder / "hub.pem", folder / "hub.key")
    write_directory(folder / "people.csv")
    config = folder / "trunkline.toml"
    config.write_text(_configuration(ports, log_format), encoding="utf-8")
    return config


def _configuration(ports: Ports, log_format: str) -> str:
    hosts = "\n".join(f'"{name}" = ["{HUB_ADDRESS}"]' for name in HUBS)
    targets = ", ".join(f'"{name}:{ports.hub}"' for name in HUBS)
    return f'''# Written by `trunkline sandbox`, and again at each start. A configuration like any other; see config/sample.toml.
[node]
fqdn = "{FQDN}"
drain_timeout_s = 5.0
[node.log]
format = "{log_format}"

[http]
port = {ports.http}

[certificates.main]
chain = "sbc.pem"
key = "sbc.key"

[[listeners]]
name = "udp"
transport = "udp"
address = "{SBC_ADDRESS}"
port = {ports.sip}

[[listeners]]
name = "tcp"
transport = "tcp"
address = "{SBC_ADDRESS}"
port = {ports.sip}

[[listeners]]
name = "tls"
transport = "tls"
address = "{SBC_ADDRESS}"
port = {ports.tls}
certificate = "main"

[timers]
no_answer_s = 30.0

[dns.static]
{hosts}

[media]
bind_address = "{SBC_ADDRESS}"
address = "{SBC_ADDRESS}"
port_min = {ports.media}
port_max = {ports.media + 1999}

[[tenants]]
name = "contoso"
directory = "people.csv"

[[trunks]]
name = "teams"
kind = "teams"
targets = [{targets}]
sources = ["{HUB_ADDRESS}/32"]
ca_file = "ca.pem"
accepted_sans = ["{HUBS[0]}"]

[[trunks]]
name = "talkdesk"
kind = "talkdesk"
listener = "udp"
sources = ["{SBC_ADDRESS}/32"]
ca_file = "ca.pem"
targets = ["sip:{SBC_ADDRESS}:{ports.agent};transport=udp"]
numbers = ["{AGENT_NUMBER}"]
'''


class Sandbox:
    """The simulated world and the service in it."""

    def __init__(self, folder: Path, ports: Ports, *, log_format: str = "text") -> None:
        self.folder = folder
        self.ports = ports
        self.config = prepare(folder, ports, log_format=log_format)
        self.hub: Hub
        self.agent: Phone
        self.service: asyncio.subprocess.Process | None = None
        self.last_lines: deque[str] = deque(maxlen=40)
        self._reader: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start everything; returns when the service is ready for calls. Raises RuntimeError with the service's last words."""
        self.hub = Hub(
            address=HUB_ADDRESS,
            port=self.ports.hub,
            names=HUBS,
            chain=self.folder / "hub.pem",
            key=self.folder / "hub.key",
            ca_file=self.folder / "ca.pem",
            sbc_fqdn=FQDN,
            sbc=(SBC_ADDRESS, self.ports.tls),
        )
        await self.hub.start()
        self.agent = Phone(SBC_ADDRESS, "UDP", port=self.ports.agent, seed="agent")
        await self.agent.start()
        self.service = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trunkline",
            "run",
            "--config",
            str(self.config),
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        self._reader = asyncio.create_task(self._read_log(), name="service log")
        await self._until_ready()

    async def _read_log(self) -> None:
        assert self.service is not None and self.service.stderr is not None
        log = (self.folder / "service.log").open("wb")
        try:
            async for line in self.service.stderr:
                log.write(line)
                log.flush()
                self.last_lines.append(line.decode(errors="replace").rstrip())
        finally:
            log.close()

    async def _until_ready(self) -> None:
        assert self.service is not None
        deadline = asyncio.get_running_loop().time() + READY_S
        while not (self.hub.active and await asyncio.to_thread(self._is_ready)):
            if self.service.returncode is not None:
                raise RuntimeError("the service ended while starting:\n" + "\n".join(self.last_lines))
            if asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(
                    f"the service is not ready after {READY_S:g} s:\n" + "\n".join(self.last_lines)
                )
            await asyncio.sleep(0.05)

    def _is_ready(self) -> bool:
        url = f"http://{SBC_ADDRESS}:{self.ports.http}/health/ready"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    async def stop(self) -> None:
        """Stop the service gently, then the rest."""
        if self.service is not None and self.service.returncode is None:
            self.service.terminate()
            try:
                await asyncio.wait_for(self.service.wait(), 15)
            except TimeoutError:
                self.service.kill()
                await self.service.wait()
        if self._reader is not None:
            await self._reader
        await self.agent.stop()
        await self.hub.stop()


def main(*, as_json: bool = False, folder: Path = Path("var/sandbox")) -> int:
    """Run the sandbox until it is interrupted; returns the exit code."""
    try:
        return asyncio.run(_main(folder, as_json=as_json))
    except RuntimeError as error:
        print(f"sandbox: {error}", file=sys.stderr)  # noqa: T201 - a command's output
        return 1


async def _main(folder: Path, *, as_json: bool) -> int:
    print("sandbox: starting the simulated Teams and the service ...", file=sys.stderr)  # noqa: T201
    sandbox = Sandbox(folder, Ports.free())
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        await sandbox.start()
        print(_welcome(sandbox, as_json=as_json), flush=True)  # noqa: T201
        assert sandbox.service is not None
        ended = asyncio.ensure_future(sandbox.service.wait())
        stopping = asyncio.ensure_future(stop.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if ended.done() and not stop.is_set():
            raise RuntimeError("the service ended:\n" + "\n".join(sandbox.last_lines))
        stopping.cancel()
        print("sandbox: stopping ...", file=sys.stderr)  # noqa: T201
    finally:
        await sandbox.stop()
    return 0


def _welcome(sandbox: Sandbox, *, as_json: bool) -> str:
    ports = sandbox.ports
    addresses = {
        "sip_udp": f"{SBC_ADDRESS}:{ports.sip}",
        "sip_tcp": f"{SBC_ADDRESS}:{ports.sip}",
        "sip_tls": f"{SBC_ADDRESS}:{ports.tls}",
        "teams_hub": f"{HUB_ADDRESS}:{ports.hub}",
        "metrics": f"http://{SBC_ADDRESS}:{ports.http}/metrics",
        "health": f"http://{SBC_ADDRESS}:{ports.http}/health/ready",
        "status": f"http://{SBC_ADDRESS}:{ports.http}/api/v1/status",
    }
    if as_json:
        return json.dumps({"config": str(sandbox.config), "call": PEOPLE[0].email, **addresses})
    people = "\n".join(
        f"    {person.email:24} {person.phone or '-':14} ext {person.extension}   {person.note}"
        for person in PEOPLE
    )
    return f"""
Trunkline is running on this machine, with a simulated Microsoft Teams.

  SIP for agents     {addresses["sip_udp"]} (UDP and TCP), {addresses["sip_tls"]} (TLS)
  Teams hub          {addresses["teams_hub"]} (mutual TLS; the certificates are in {sandbox.folder})
  metrics            {addresses["metrics"]}
  health, status     {addresses["health"]}, {addresses["status"]}
  configuration      {sandbox.config}
  log of the service {sandbox.folder / "service.log"}

Call somebody, from a second terminal:

    ./dev trunkline call ada@contoso.example

Others to call, by e-mail, number or extension:

{people}

Ctrl-C stops everything."""
