"""Runs SIPp scenarios against a real node and grades every party: by exit code, counters and time. Nothing is excused."""

import asyncio
import csv
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.node import FQDN, HUB_ADDRESS, SBC_ADDRESS, Node, free_port
from tests.support.tls_bridge import Bridge

ROOT = Path(__file__).parents[2] / "sipp-scenarios"
LIMIT_S = 60.0


@dataclass(frozen=True)
class Scenario:
    """One entry of scenarios.toml."""

    name: str
    agent: str
    hub: str = ""
    target: str = "ada%40contoso.example"
    direction: str = "to_teams"
    calls: int = 3
    rate: int = 10
    no_answer_s: float = 0.0
    values: dict[str, str] = field(default_factory=dict)


@dataclass
class Grade:
    """How one party did."""

    party: str
    ok: bool
    detail: str


def scenarios() -> list[Scenario]:
    """Read all scenarios."""
    return [Scenario(**entry) for entry in tomllib.loads((ROOT / "scenarios.toml").read_text())["scenario"]]


class SippRun:
    """One node and the scenarios run against it."""

    def __init__(self, folder: Path, transport: str, *, no_answer_s: float = 0.0) -> None:
        extra = f"[timers]\nno_answer_s = {no_answer_s}" if no_answer_s else ""
        # the TLS agent is SIPp over TCP behind a bridge, so that calls towards it go over TCP
        self.node = Node(folder, agent_transport="tcp" if transport == "tls" else transport, extra=extra)
        self.transport = transport
        self._folder = folder
        self._bridges: list[Bridge] = []
        self._hub_sipp = free_port(HUB_ADDRESS)
        self._agent_entry = (SBC_ADDRESS, self.node.sip)
        self._hub_entry = ("", 0)

    async def start(self) -> None:
        """Start the node and the bridges."""
        await self.node.start()
        hub = Bridge()
        await hub.serve(
            HUB_ADDRESS, self.node.hub_port, self.node.identity("hub"), (HUB_ADDRESS, self._hub_sipp)
        )
        calls_in = Bridge()
        hub_identity = self.node.identity("hub")
        await calls_in.dial(
            HUB_ADDRESS, 0, hub_identity, (SBC_ADDRESS, self.node.tls), FQDN, hub_identity.ca, HUB_ADDRESS
        )
        self._bridges += [hub, calls_in]
        self._hub_entry = (HUB_ADDRESS, calls_in.port)
        if self.transport == "tls":
            agent = Bridge()
            await agent.dial(
                SBC_ADDRESS, 0, None, (SBC_ADDRESS, self.node.tls), FQDN, hub_identity.ca, SBC_ADDRESS
            )
            self._bridges.append(agent)
            self._agent_entry = (SBC_ADDRESS, agent.port)

    async def stop(self) -> int:
        """Stop everything; returns the node's exit code."""
        code = await self.node.stop()
        for bridge in self._bridges:
            await bridge.stop()
        return code

    async def play(self, scenario: Scenario) -> list[Grade]:
        """Run one scenario and grade its parties."""
        grades: list[Grade] = []
        towards_teams = scenario.direction == "to_teams"
        tcp = "u1" if self.transport == "udp" else "t1"
        agent_port = free_port() if towards_teams else self.node.agent_port
        callee, caller = [], []
        if towards_teams:
            if scenario.hub:
                callee = ["hub", scenario.hub, "-t", "t1", "-i", HUB_ADDRESS, "-p", str(self._hub_sipp)]
            caller = [
                "agent",
                scenario.agent,
                "-t",
                tcp,
                "-i",
                SBC_ADDRESS,
                "-p",
                str(agent_port),
                *self._remote(self._agent_entry),
            ]
            service = scenario.target
        else:
            callee = ["agent", scenario.agent, "-t", tcp, "-i", SBC_ADDRESS, "-p", str(agent_port)]
            caller = [
                "hub",
                scenario.hub,
                "-t",
                "t1",
                "-i",
                HUB_ADDRESS,
                "-p",
                str(free_port(HUB_ADDRESS)),
                *self._remote(self._hub_entry),
            ]
            service = "+14255550190"
        with tempfile.TemporaryDirectory(dir=self._folder) as work:
            waiting = None
            if callee:
                waiting = asyncio.create_task(
                    self._sipp(Path(work), scenario, callee, ("-m", str(scenario.calls)))
                )
                await asyncio.sleep(0.5)  # SIPp does not say when it listens
            load = (
                "-m",
                str(scenario.calls),
                "-r",
                str(scenario.rate),
                "-l",
                str(scenario.calls),
                "-s",
                service,
            )
            grades.append(await self._sipp(Path(work), scenario, caller, load))
            if waiting is not None:
                grades.append(await waiting)
        grades.append(await self._node_is_clean())
        return grades

    def _remote(self, entry: tuple[str, int]) -> list[str]:
        return [f"{entry[0]}:{entry[1]}"]

    async def _sipp(self, work: Path, scenario: Scenario, party: list[str], load: tuple[str, ...]) -> Grade:
        role, name, *options = party
        limit_s = LIMIT_S + scenario.calls / scenario.rate
        text = (ROOT / "parties" / f"{name}.xml").read_text()
        for key, value in {"HUB_PORT": str(self.node.hub_port), **scenario.values}.items():
            text = text.replace(f"@{key}@", value)
        file = work / f"{name}.xml"
        file.write_text(text)
        stat, errors = work / f"{name}.csv", work / f"{name}.err"
        process = await asyncio.create_subprocess_exec(
            "sipp", "-sf", str(file), *options, *load, "-nostdin", "-trace_err", "-error_file", str(errors),
            "-trace_stat", "-stf", str(stat), "-fd", "1", "-timeout", str(int(limit_s)), "-timeout_error", "-mi", options[3],
            "-max_socket", "5000", "-recv_timeout", "20000",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, cwd=work,
        )  # fmt: skip
        try:
            code = await asyncio.wait_for(process.wait(), limit_s + 10)
        except TimeoutError:
            process.kill()
            code = await process.wait()
        counters = _last_row(stat)
        good, bad = int(counters.get("SuccessfulCall(C)", 0)), int(counters.get("FailedCall(C)", 0))
        again = int(counters.get("Retransmissions(C)", 0) or 0)
        ok = code == 0 and good == scenario.calls and bad == 0
        detail = f"exit {code}, {good} good, {bad} bad, {again} retransmitted"
        if not ok and errors.exists():
            detail += "; " + " ".join(errors.read_text(errors="replace").split())[:600]
        return Grade(f"{role} ({name})", ok, detail)

    async def _node_is_clean(self) -> Grade:
        """Hold the node to having let go of every call, and to no traceback."""
        deadline = asyncio.get_running_loop().time() + 10
        names = ("trunkline_active_calls", "trunkline_sip_dialogs")
        left = {}
        while asyncio.get_running_loop().time() < deadline:
            left = {name: await asyncio.to_thread(self.node.metric, name) for name in names}
            if not any(left.values()):
                break
            await asyncio.sleep(0.1)
        clean = not any(left.values()) and "Traceback" not in self.node.log()
        return Grade(
            "node",
            clean,
            "let go of everything" if clean else f"still has {left}; log: {self.node.log()[-500:]}",
        )


def _last_row(path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    rows = list(csv.DictReader(path.read_text().splitlines(), delimiter=";"))
    return rows[-1] if rows else {}
