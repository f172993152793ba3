"""`python -m sbc.media.relay`: the embedded media engine as a process.

Prints one line of JSON when it is ready: {"ng": ["127.0.0.1", 40123], "pid": 1}. Stops on SIGTERM and SIGINT, and with
--until-stdin-closes when whoever started it is gone.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import ipaddress
import json
import os
import random
import resource
import signal
import socket
import sys
import time

from sbc.media.relay.call import Interface
from sbc.media.relay.commands import Commands, RelaySettings
from sbc.media.relay.loop import Loop, NgServer
from sbc.media.relay.packet import Packet
from sbc.media.relay.ports import PortPool


def main(arguments: list[str] | None = None) -> int:
    """Run the relay until it is told to stop; returns the exit status."""
    options = _options(arguments)
    _allow_many_files()
    packet = Packet()
    packet.now = time.monotonic()
    loop = Loop(packet)
    interfaces = tuple(options.interface)
    shuffle = random.SystemRandom().shuffle
    pools = {
        item.bind: PortPool(options.ports[0], options.ports[1], options.quarantine_s, shuffle)
        for item in interfaces
    }
    settings = RelaySettings(interfaces, options.session_idle_s, options.relatch_after_s)
    commands = Commands(settings, pools, loop, packet)
    host, port = options.listen_ng
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)
        sock.bind((host, port))
        server = NgServer(sock, commands, packet)
        loop.watch(sock, server.on_readable)
        _stop_when_told(loop, until_stdin_closes=options.until_stdin_closes)
        sys.stdout.write(json.dumps({"ng": sock.getsockname()[:2], "pid": os.getpid()}) + "\n")
        sys.stdout.flush()
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 100)
        loop.run(commands.collect)
        commands.close(time.monotonic())
        loop.close()
    return 0


def _stop_when_told(loop: Loop, *, until_stdin_closes: bool) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _signal, _frame: loop.stop())

    def on_stdin() -> None:
        if not os.read(0, 4096):
            loop.stop()

    if until_stdin_closes:
        with contextlib.suppress(PermissionError):  # a file or /dev/null never closes
            loop.watch_fd(0, on_stdin)


def _allow_many_files() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sbc.media.relay", description="Relay RTP and SRTP.")
    parser.add_argument("--listen-ng", type=_endpoint, default=("127.0.0.1", 0), metavar="HOST:PORT")
    parser.add_argument(
        "--interface", type=_interface, action="append", required=True, metavar="[NAME/]BIND[!ADVERTISED]"
    )
    parser.add_argument("--ports", type=_ports, default=(30000, 39999), metavar="FIRST-LAST")
    parser.add_argument("--quarantine-s", type=float, default=5.0)
    parser.add_argument("--session-idle-s", type=float, default=3600.0)
    parser.add_argument("--relatch-after-s", type=float, default=5.0)
    parser.add_argument("--until-stdin-closes", action="store_true")
    return parser.parse_args(arguments)


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _interface(text: str) -> Interface:
    name, slash, rest = text.partition("/")
    if not slash:
        name, rest = "default", text
    bind, _, written = rest.partition("!")
    advertised = ipaddress.ip_address(written or bind)
    if advertised.is_unspecified:
        advertised = _own_address(advertised.version)
    return Interface(name, str(ipaddress.ip_address(bind)), str(advertised))


def _own_address(version: int) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Return the address that this machine sends from: what to write when nobody said. Sends nothing."""
    family, elsewhere = (socket.AF_INET, "192.0.2.1") if version == 4 else (socket.AF_INET6, "2001:db8::1")
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect((elsewhere, 9))
            return ipaddress.ip_address(sock.getsockname()[0].partition("%")[0])
        except OSError:
            return ipaddress.ip_address("127.0.0.1" if version == 4 else "::1")


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    if not 1 <= int(first) < int(last) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a range of ports")
    return int(first), int(last)


if __name__ == "__main__":
    sys.exit(main())
