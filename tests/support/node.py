"""A real node for tests: certificates, directory and configuration in a folder, the service as a process."""

import asyncio
import os
import socket
import sys
import urllib.error
import urllib.request
from pathlib import Path

from certs import CertificateAuthority
from sandbox.tenant import AGENT_NUMBER, write_directory
from tests.support.tls_bridge import Identity

FQDN = "sbc1.contoso.example"
HUB = "sip.pstnhub.contoso.example"
SBC_ADDRESS = "127.0.0.1"
HUB_ADDRESS = "127.0.0.2"


def free_port(address: str = SBC_ADDRESS) -> int:
    """Find a port that is free for UDP and TCP."""
    for _ in range(50):
        with (
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind((address, 0))
            port = tcp.getsockname()[1]
            try:
                udp.bind((address, port))
            except OSError:
                continue
            return int(port)
    raise OSError("no free port")


class Node:
    """A node between an agent at 127.0.0.1 and a hub at 127.0.0.2."""

    def __init__(
        self,
        folder: Path,
        *,
        agent_transport: str = "udp",
        extra: str = "",
        trunk_extra: str = "",
        options_s: float = 0.0,
    ) -> None:
        self.folder = folder
        self.sip, self.tls, self.http = free_port(), free_port(), free_port()
        self.hub_port, self.agent_port = free_port(HUB_ADDRESS), free_port()
        authority = CertificateAuthority("Test CA")
        (folder / "ca.pem").write_bytes(authority.root_pem)
        authority.issue(FQDN).write(folder / "sbc.pem", folder / "sbc.key")
        authority.issue(HUB, eku=("serverAuth",)).write(folder / "hub.pem", folder / "hub.key")
        authority.issue("agent.contoso.example").write(folder / "agent.pem", folder / "agent.key")
        stranger = CertificateAuthority("Strange CA")
        stranger.issue(HUB).write(folder / "stranger.pem", folder / "stranger.key")
        write_directory(folder / "people.csv")
        self.config = folder / "trunkline.toml"
        self.config.write_text(self._configuration(agent_transport, extra, trunk_extra, options_s))
        self.process: asyncio.subprocess.Process | None = None
        self._log = None

    def identity(self, name: str) -> Identity:
        """Return certificate files by name: hub, agent, stranger."""
        return Identity(self.folder / f"{name}.pem", self.folder / f"{name}.key", self.folder / "ca.pem")

    def _configuration(self, agent_transport: str, extra: str, trunk_extra: str, options_s: float) -> str:
        media = 10_000 + (os.getpid() % 5) * 4_000  # below the ephemeral ports, which the listeners are on
        return f'''
[node]
fqdn = "{FQDN}"
drain_timeout_s = 5.0
[http]
port = {self.http}
[certificates.main]
chain = "sbc.pem"
key = "sbc.key"
[[listeners]]
name = "udp"
transport = "udp"
address = "{SBC_ADDRESS}"
port = {self.sip}
[[listeners]]
name = "tcp"
transport = "tcp"
address = "{SBC_ADDRESS}"
port = {self.sip}
[[listeners]]
name = "tls"
transport = "tls"
address = "{SBC_ADDRESS}"
port = {self.tls}
certificate = "main"
[dns.static]
"{HUB}" = ["{HUB_ADDRESS}"]
[media]
bind_address = "{SBC_ADDRESS}"
address = "{SBC_ADDRESS}"
port_min = {media}
port_max = {media + 3999}
{extra}
[[tenants]]
name = "contoso"
directory = "people.csv"
[[trunks]]
name = "teams"
kind = "teams"
targets = ["{HUB}:{self.hub_port}"]
sources = ["{HUB_ADDRESS}/32"]
ca_file = "ca.pem"
accepted_sans = ["{HUB}"]
options_interval_s = {options_s}
[[trunks]]
name = "talkdesk"
kind = "talkdesk"
listener = "{agent_transport}"
sources = ["{SBC_ADDRESS}/32"]
ca_file = "ca.pem"
targets = ["sip:{SBC_ADDRESS}:{self.agent_port};transport={agent_transport}"]
numbers = ["{AGENT_NUMBER}"]
{trunk_extra}
'''

    async def start(self) -> None:
        """Start the service and wait until it is ready."""
        self._log = (self.folder / "service.log").open("wb")
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "trunkline",
            "run",
            "--config",
            str(self.config),
            stderr=self._log,
            start_new_session=True,
        )
        deadline = asyncio.get_running_loop().time() + 30
        while not await asyncio.to_thread(self._live):
            if self.process.returncode is not None or asyncio.get_running_loop().time() > deadline:
                raise RuntimeError(f"the service does not start:\n{self.log()}")
            await asyncio.sleep(0.05)

    def _live(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://{SBC_ADDRESS}:{self.http}/health/live", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def metric(self, name: str) -> float:
        """Return the sum of a metric over its labels."""
        page = urllib.request.urlopen(f"http://{SBC_ADDRESS}:{self.http}/metrics", timeout=5).read().decode()
        return sum(float(line.rsplit(" ", 1)[1]) for line in page.splitlines() if line.startswith(name))

    def log(self) -> str:
        """Return what the service has logged."""
        return (self.folder / "service.log").read_text(errors="replace")

    async def stop(self) -> int:
        """Stop the service gently; returns its exit code."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.terminate()
            try:
                await asyncio.wait_for(self.process.wait(), 20)
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
        if self._log is not None:
            self._log.close()
        assert self.process.returncode is not None
        return self.process.returncode
