"""CPU-milliseconds a call: Trunkline beside Kamailio, TLS on both sides, in interleaved rounds of one run.

INVITE/100/180/200/ACK, half a second, BYE/200, with SDP and no media. Counted are user and system time of all processes of
the server (Trunkline's relay included), less what it uses while idle. SIPp makes and takes the calls behind TLS bridges, whose time is not
counted. Kamailio runs as a stateful proxy with dialogs, plain and with topology hiding by topoh (no state) and topos (state in SQLite, when
kamailio-sqlite-modules is installed). These machines are noisy:
only ratios within one run mean anything.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.support.node import FQDN, HUB_ADDRESS, SBC_ADDRESS, Node, free_port
from tests.support.tls_bridge import Bridge

HERE = Path(__file__).parent
PARTIES = HERE.parent / "sipp-scenarios" / "parties"
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
TOPOH = 'loadmodule "topoh.so"\nmodparam("topoh", "mask_key", "bench")\nmodparam("topoh", "mask_ip", "192.0.2.99")'

TOPOS = (
    'loadmodule "db_sqlite.so"\nloadmodule "topos.so"\nmodparam("topos", "storage", "db")\n'
    'modparam("topos", "db_url", "sqlite:///@FOLDER@/topos.db")'
)
TOPOS_TABLES = tuple(
    Path("/usr/share/kamailio/db_sqlite", name) for name in ("standard-create.sql", "topos-create.sql")
)
HIDINGS = {"kamailio proxy": "", "kamailio topoh": TOPOH, "kamailio topos": TOPOS}


@dataclass(frozen=True)
class Round:
    """One measured load on one server."""

    server: str
    rate: int
    calls: int
    cpu_ms: float
    failed: int

    @property
    def per_call(self) -> float:
        return self.cpu_ms / self.calls


def family(pid: int) -> list[int]:
    found = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text().split():
            found += family(int(child))
    return found


def cpu_ms(pid: int) -> float:
    total = 0
    for member in family(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        total += sum(int(field) for field in fields[11:15])
    return total * TICK_MS


class Stage:
    """Certificates, bridges and ports that every server uses in turn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.node = Node(folder, extra="[limits]\ncalls_per_s = 1000\n")
        self.hub_sipp = free_port(HUB_ADDRESS)
        self.kamailio_port = free_port()

    async def start(self) -> None:
        self.hub = Bridge()
        await self.hub.serve(
            HUB_ADDRESS, self.node.hub_port, self.node.identity("hub"), (HUB_ADDRESS, self.hub_sipp)
        )

    async def agent_bridge(self, port: int) -> Bridge:
        bridge = Bridge()
        ca = self.folder / "ca.pem"
        await bridge.dial(SBC_ADDRESS, 0, None, (SBC_ADDRESS, port), FQDN, ca, SBC_ADDRESS)
        return bridge

    async def load(self, server: str, pid: int, port: int, rate: int, calls: int) -> Round:
        bridge = await self.agent_bridge(port)
        await asyncio.sleep(1.0)
        before_idle = cpu_ms(pid)
        await asyncio.sleep(2.0)
        idle_per_s = (cpu_ms(pid) - before_idle) / 2.0
        hub = await self._sipp("hub-answers", "-i", HUB_ADDRESS, "-p", str(self.hub_sipp), "-m", str(calls))
        await asyncio.sleep(0.5)
        before, began = cpu_ms(pid), asyncio.get_running_loop().time()
        target = f"{SBC_ADDRESS}:{bridge.port}"
        agent = await self._sipp(
            "agent-basic", target, "-i", SBC_ADDRESS, "-p", str(free_port()), "-m", str(calls), "-r", str(rate), "-l", str(calls),
            "-s", "+14255550101",
        )  # fmt: skip
        codes = await asyncio.gather(agent.wait(), hub.wait())
        took = asyncio.get_running_loop().time() - began
        used = cpu_ms(pid) - before - idle_per_s * took
        await bridge.stop()
        return Round(server, rate, calls, max(0.0, used), 0 if codes == [0, 0] else 1)

    async def _sipp(self, party: str, *options: str) -> asyncio.subprocess.Process:
        text = (PARTIES / f"{party}.xml").read_text().replace("@HUB_PORT@", str(self.node.hub_port))
        if party.startswith("hub"):
            # what Trunkline's scenarios check of the INVITE is not true of a proxy
            text = re.sub(
                r"<recv request=\"INVITE\"[^>]*>.*?</recv>",
                '<recv request="INVITE" />',
                text,
                flags=re.DOTALL,
            )
            text = text.replace('  <Reference variables="1" />\n', "")
            text = re.sub(r"      RECORD-ROUTE:.*\n", "      [last_Record-Route:]\n", text)
            text = text.replace(
                "[last_Via:]\n      [last_Record-Route:]", "[last_Via:]\n      [last_Record-Route:]"
            )
        file = self.folder / f"bench-{party}.xml"
        file.write_text(text)
        return await asyncio.create_subprocess_exec(
            "sipp", "-sf", str(file), *options, "-t", "t1", "-nostdin", "-timeout", "90", "-timeout_error", "-max_socket", "5000",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd=self.folder,
        )  # fmt: skip


class Kamailio:
    """A Kamailio with a configuration of its own."""

    def __init__(self, stage: Stage, hiding: str) -> None:
        self._stage = stage
        folder = stage.folder
        values = {
            "HIDING": hiding.replace("@FOLDER@", str(folder)),
            "ADDRESS": SBC_ADDRESS,
            "PORT": str(stage.kamailio_port),
            "FOLDER": str(folder),
            "HUB_ADDRESS": HUB_ADDRESS,
            "HUB_PORT": str(stage.node.hub_port),
        }
        text = (HERE / "kamailio" / "proxy.cfg").read_text()
        for name, value in values.items():
            text = text.replace(f"@{name}@", value)
        (folder / "kamailio.cfg").write_text(text)
        if hiding == TOPOS:
            (folder / "topos.db").unlink(missing_ok=True)
            with contextlib.closing(sqlite3.connect(folder / "topos.db")) as database:
                for table in TOPOS_TABLES:
                    if table.exists():
                        database.executescript(table.read_text())
                database.execute("PRAGMA journal_mode=WAL")
        certificate = (
            f"private_key = {folder}/sbc.key\ncertificate = {folder}/sbc.pem\nca_list = {folder}/ca.pem\n"
        )
        (folder / "tls.cfg").write_text(
            f"[server:default]\nmethod = TLSv1.2+\nverify_certificate = no\nrequire_certificate = no\n{certificate}"
            f"[client:default]\nmethod = TLSv1.2+\nverify_certificate = yes\n{certificate}"
        )

    async def start(self) -> int:
        self._log = (self._stage.folder / "kamailio.log").open("wb")
        self.process = await asyncio.create_subprocess_exec(
            "kamailio", "-DD", "-E", "-m", "256", "-f", str(self._stage.folder / "kamailio.cfg"), "-Y", str(self._stage.folder),
            stdout=self._log, stderr=self._log,
        )  # fmt: skip
        for _ in range(100):
            await asyncio.sleep(0.1)
            try:
                _, writer = await asyncio.open_connection(SBC_ADDRESS, self._stage.kamailio_port)
            except OSError:
                if self.process.returncode is not None:
                    break
                continue
            writer.close()
            return self.process.pid
        raise RuntimeError(
            "kamailio does not start:\n" + (self._stage.folder / "kamailio.log").read_text()[-1500:]
        )

    async def stop(self) -> None:
        if self.process.returncode is None:
            self.process.terminate()
            await self.process.wait()
        self._log.close()


async def bench(rates: list[int], seconds: int, rounds: int) -> list[Round]:
    results: list[Round] = []
    servers = ["trunkline"]
    if shutil.which("kamailio"):
        servers += ["kamailio proxy", "kamailio topoh"]
        if Path("/usr/lib/x86_64-linux-gnu/kamailio/modules/db_sqlite.so").exists():
            servers.append("kamailio topos")
        else:
            print("no topos without kamailio-sqlite-modules: ratios are to topoh", file=sys.stderr)
    else:
        print(
            "kamailio is not installed (apt-get install kamailio kamailio-tls-modules): Trunkline alone",
            file=sys.stderr,
        )
    with tempfile.TemporaryDirectory() as name:
        stage = Stage(Path(name))
        await stage.start()
        for rate in rates:
            for _ in range(rounds):
                for server in servers:
                    calls = rate * seconds
                    if server == "trunkline":
                        await stage.node.start()
                        assert stage.node.process is not None
                        try:
                            await stage.load(
                                server, stage.node.process.pid, stage.node.tls, rate, rate
                            )  # warm
                            done = await stage.load(
                                server, stage.node.process.pid, stage.node.tls, rate, calls
                            )
                        finally:
                            await stage.node.stop()
                    else:
                        peer = Kamailio(stage, HIDINGS[server])
                        pid = await peer.start()
                        try:
                            await stage.load(server, pid, stage.kamailio_port, rate, rate)
                            done = await stage.load(server, pid, stage.kamailio_port, rate, calls)
                        finally:
                            await peer.stop()
                    results.append(done)
                    print(
                        f"  {server:15} {rate:4}/s  {done.per_call:6.2f} CPU-ms a call{'  FAILED CALLS' if done.failed else ''}",
                        flush=True,
                    )
        await stage.hub.stop()
    return results


def report(results: list[Round]) -> None:
    print(
        f"\n{'calls a second':>16}",
        *(f"{server:>18}" for server in dict.fromkeys(one.server for one in results)),
    )
    for rate in dict.fromkeys(one.rate for one in results):
        cells, base = [], None
        for server in dict.fromkeys(one.server for one in results):
            mine = statistics.median(
                one.per_call for one in results if one.server == server and one.rate == rate
            )
            base = mine if server in ("kamailio topoh", "kamailio topos") else base  # the last one there is
            cells.append((server, mine))
        print(
            f"{rate:>16}",
            *(f"{mine:10.2f} ({mine / base:4.2f})" if base else f"{mine:18.2f}" for _, mine in cells),
        )
    print(
        "\nCPU-ms a call, all processes, idle subtracted; in brackets the ratio to Kamailio with topology hiding\n(the right-most column) in this run."
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one rate, one round")
    options = parser.parse_args()
    if shutil.which("sipp") is None:
        print("sipp is not installed (apt-get install sip-tester)", file=sys.stderr)
        return 1
    results = asyncio.run(bench([50] if options.quick else [20, 50, 100], 6 if options.quick else 8, 1))
    report(results)
    return 1 if any(one.failed for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
