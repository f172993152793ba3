"""The embedded relay against rtpengine's userspace: CPU a packet, loss and added delay, SRTP on one side, RTP on the other.

Rounds are interleaved, so that what else the machine does meets both; only the ratios are worth quoting. CPU is that of
the engine's process, all threads, from the scheduler's own clock. Run as `./dev bench media [--calls N]`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import re
import select
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pylibsrtp

from sbc.media.client import NgClient
from sbc.media.errors import MediaError
from sbc.media.profiles import media_profile
from sbc.media.supervisor import RelayOptions, RelaySupervisor

INTERVAL_S = 0.02
PAYLOAD = bytes(range(160))
KEY = bytes(range(30))


@dataclass
class Round:
    """What one engine did in one round."""

    cpu_us: float
    sent: int
    received: int
    delays_us: list[float] = field(repr=False)


def cpu_s(pid: int) -> float:
    """Return the CPU time of a process and all its threads."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


def udp() -> socket.socket:
    """Return a bound loopback socket."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def description(port: int, protocol: str, extra: str = "") -> bytes:
    """Return SDP for one G.711 stream."""
    return (
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} {protocol} 0\r\na=rtpmap:0 PCMU/8000\r\n{extra}"
    ).encode()


def media_port(sdp: bytes) -> int:
    """Return the port of the audio line."""
    found = re.search(rb"m=audio (\d+)", sdp)
    assert found is not None
    return int(found[1])


class Load:
    """`calls` calls of 50 packets a second each way: one leg plain, the other protected with packets made beforehand."""

    def __init__(self, calls: int, ticks: int) -> None:
        self.pairs = [(udp(), udp()) for _ in range(calls)]
        self.plain = [
            [
                struct.pack(">BBHII", 0x80, 0, tick, tick * 160, 2 * call + 1) + PAYLOAD
                for tick in range(ticks)
            ]
            for call in range(calls)
        ]
        policy = pylibsrtp.Policy(key=KEY, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        session = pylibsrtp.Session(policy)
        self.protected = [
            [
                session.protect(struct.pack(">BBHII", 0x80, 0, tick, tick * 160, 2 * call + 2) + PAYLOAD)
                for tick in range(ticks)
            ]
            for call in range(calls)
        ]

    async def set_up(self, engine: NgClient) -> None:
        """Make the calls and point the sockets at the engine."""
        rtp, srtp = media_profile("rtp"), media_profile("srtp")
        crypto = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(KEY).decode()}\r\n"
        for number, (plain, secure) in enumerate(self.pairs):
            call = f"bench-{number}"
            offer = description(plain.getsockname()[1], "RTP/AVP")
            offered = await engine.offer(call, "a", offer, towards=srtp, received_on=rtp)
            answer = description(secure.getsockname()[1], "RTP/SAVP", crypto)
            answered = await engine.answer(call, "a", "b", answer, towards=rtp, received_on=srtp)
            plain.connect(("127.0.0.1", media_port(answered)))
            secure.connect(("127.0.0.1", media_port(offered)))

    def run(self, pid: int, ticks: int) -> Round:
        """Send for `ticks` intervals and count what comes back."""
        poll = select.epoll()
        sockets = {}
        for index, pair in enumerate(self.pairs):
            for side, sock in enumerate(pair):
                sockets[sock.fileno()] = (sock, 2 * index + side)
                poll.register(sock.fileno(), select.EPOLLIN)
        sent_at = [[0.0] * ticks for _ in range(2 * len(self.pairs))]
        delays: list[float] = []
        sent = received = 0
        legs = [
            (sock, packets[call], 2 * call + side)
            for call, pair in enumerate(self.pairs)
            for side, (sock, packets) in enumerate(zip(pair, (self.plain, self.protected), strict=True))
        ]
        step = INTERVAL_S / len(legs)
        before, begin = cpu_s(pid), time.perf_counter()
        total, end = ticks * len(legs), begin + ticks * INTERVAL_S + 0.3
        while (now := time.perf_counter()) < end:
            while sent < total and begin + sent * step <= now:
                tick, leg = divmod(sent, len(legs))
                sock, packets, number = legs[leg]
                sent_at[number][tick] = time.perf_counter()
                sock.send(packets[tick])
                sent += 1
            for fd, _ in poll.poll(0.0005):
                sock, number = sockets[fd]
                data = sock.recv(2048)
                at = time.perf_counter()
                received += 1
                delays.append((at - sent_at[number ^ 1][int.from_bytes(data[2:4], "big")]) * 1e6)
        used = cpu_s(pid) - before
        poll.close()
        return Round(used * 1e6 / max(1, sent), sent, received, delays)

    def close(self) -> None:
        """Give the sockets back."""
        for pair in self.pairs:
            for sock in pair:
                sock.close()


async def one_round(engine: NgClient, pid: int, calls: int, ticks: int) -> Round:
    """Set calls up on an engine, load it, take them down."""
    load = Load(calls, ticks)
    try:
        await load.set_up(engine)
        return load.run(pid, ticks)
    finally:
        for number in range(calls):
            await engine.delete(f"bench-{number}", "a")
        load.close()


async def connect_rtpengine(port: int) -> NgClient:
    """Return a client of an rtpengine that has just been started."""
    for _ in range(50):
        client = NgClient(timeout_s=0.2)
        try:
            await client.connect("127.0.0.1", port)
            await client.ping()
        except (MediaError, OSError):
            client.close()
            await asyncio.sleep(0.1)
        else:
            client.close()
            patient = NgClient(timeout_s=3)
            await patient.connect("127.0.0.1", port)
            return patient
    raise SystemExit("rtpengine does not answer")


def start_rtpengine(port: int) -> subprocess.Popen[bytes] | None:
    """Start rtpengine without its kernel module, one thread; None when it is not installed."""
    program = shutil.which("rtpengine") or shutil.which("rtpengine", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        return None
    return subprocess.Popen(
        [
            program,
            *("--interface=lo/127.0.0.1", f"--listen-ng=127.0.0.1:{port}", "--foreground", "--log-stderr"),
            *("--log-level=3", "--table=-1", "--num-threads=1", "--port-min=45000", "--port-max=49999"),
            f"--pidfile={tempfile.gettempdir()}/trunkline-bench-rtpengine.pid",
        ],
        stderr=subprocess.DEVNULL,
    )


def show(name: str, rounds: list[Round]) -> float:
    """Print one engine's figures; returns its CPU a packet."""
    cpu = statistics.median(r.cpu_us for r in rounds)
    delays = sorted(d for r in rounds for d in r.delays_us)
    lost = sum(r.sent - r.received for r in rounds)
    p50, p99 = (delays[int(len(delays) * q)] for q in (0.5, 0.99))
    print(
        f"{name:10}  {cpu:6.2f} CPU-us a packet   lost {lost} of {sum(r.sent for r in rounds)}   "
        f"delay p50 {p50:.0f} us, p99 {p99:.0f} us"
    )
    return cpu


async def main() -> int:
    """Run the bench; returns the exit status."""
    parser = argparse.ArgumentParser(prog="bench media", description=__doc__)
    parser.add_argument("--calls", type=int, default=60, help="calls at once, 100 packets a second each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5.0, help="length of a round")
    options = parser.parse_args()
    ticks = round(options.seconds / INTERVAL_S)
    supervisor = RelaySupervisor(RelayOptions((("default", "127.0.0.1", "127.0.0.1"),), 40000, 44999))
    await supervisor.start()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    rtpengine = start_rtpengine(port)
    rounds: dict[str, list[Round]] = {"relay": [], "rtpengine": []}
    try:
        client = await connect_rtpengine(port) if rtpengine is not None else None
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds} …", file=sys.stderr)
            assert supervisor.pid is not None
            rounds["relay"].append(await one_round(supervisor.client, supervisor.pid, options.calls, ticks))
            if client is not None and rtpengine is not None:
                rounds["rtpengine"].append(await one_round(client, rtpengine.pid, options.calls, ticks))
        if client is not None:
            client.close()
    finally:
        await supervisor.stop()
        if rtpengine is not None:
            rtpengine.terminate()
            rtpengine.wait()
    print(f"{options.calls} calls, SRTP to RTP and back, {options.calls * 100} packets a second")
    relay = show("relay", rounds["relay"])
    if rounds["rtpengine"]:
        print(f"relay : rtpengine = {relay / show('rtpengine', rounds['rtpengine']):.2f} in CPU")
    else:
        print("rtpengine is not installed (apt install rtpengine-daemon): no comparison")
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
