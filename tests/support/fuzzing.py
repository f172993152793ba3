"""Fuzzes a running node over UDP and TCP and tells whether it is still well."""

import asyncio
import contextlib
import itertools
import socket
from pathlib import Path

from tests.support.mutator import stream
from tests.support.node import SBC_ADDRESS, Node
from tests.support.wire import answers_options

GOLDEN = Path(__file__).parents[1] / "golden"
_INVITE_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP 0 8 101\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)


def seeds() -> list[bytes]:
    """Return the messages to damage: every golden one, and the ones of a call to somebody real."""
    found = [
        file.read_bytes()
        for folder in ("torture", "teams")
        for file in sorted((GOLDEN / folder).glob("*.sip"))
    ]
    for number, (method, body) in enumerate(
        [
            ("INVITE", _INVITE_SDP),
            ("INVITE", ""),
            ("ACK", ""),
            ("BYE", ""),
            ("CANCEL", ""),
            ("OPTIONS", ""),
            ("UPDATE", _INVITE_SDP),
        ]
    ):
        kind = "Content-Type: application/sdp\r\n" if body else ""
        found.append(
            (
                f"{method} sip:2101@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5099;branch=z9hG4bKf{number};rport\r\n"
                f'From: "Fuzz" <sip:+14255550190@127.0.0.1>;tag=f{number}\r\nTo: <sip:2101@127.0.0.1>\r\nCall-ID: fuzz{number}\r\n'
                f"CSeq: {number + 1} {method}\r\nContact: <sip:fuzz@127.0.0.1:5099>\r\nMax-Forwards: 70\r\nSession-Expires: 1800\r\n"
                f"Supported: timer\r\n{kind}Content-Length: {len(body)}\r\n\r\n{body}"
            ).encode()
        )
    return [one for one in found if len(one) < 60_000]


async def fuzz(node: Node, messages: int, seed: int) -> list[str]:
    """Send that many damaged messages, two thirds over UDP; returns what is wrong afterwards."""
    source = stream(seeds(), seed)
    over_udp = messages * 2 // 3
    await asyncio.to_thread(_over_udp, node, list(itertools.islice(source, over_udp)))
    left = messages - over_udp
    while left > 0:
        share = min(left, 200)
        await _over_tcp(node, list(itertools.islice(source, share)))
        left -= share
    faults = []
    assert node.process is not None
    if node.process.returncode is not None:
        faults.append(f"the service ended with {node.process.returncode}")
    elif not await asyncio.to_thread(answers_options, SBC_ADDRESS, node.sip, limit_s=10.0):
        faults.append("the service does not answer OPTIONS any more")
    if "Traceback" in node.log():
        at = node.log().index("Traceback")
        faults.append("traceback in the log: " + node.log()[max(0, at - 500) : at + 3000])
    return faults


def _over_udp(node: Node, messages: list[bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((SBC_ADDRESS, 0))
        sock.setblocking(False)
        for number, message in enumerate(messages):
            with contextlib.suppress(OSError):
                sock.sendto(message[:65000], (SBC_ADDRESS, node.sip))
            if number % 100 == 0:
                # an answer in between keeps the fuzzer from outrunning the socket buffer, so that messages are read and not dropped
                answers_options(SBC_ADDRESS, node.sip, limit_s=5.0)


async def _over_tcp(node: Node, messages: list[bytes]) -> None:
    """Send until the node closes the connection for what cannot be framed, then connect anew."""
    pending = list(messages)
    while pending:
        try:
            reader, writer = await asyncio.open_connection(SBC_ADDRESS, node.sip)
        except OSError:
            await asyncio.sleep(0.05)
            continue
        drain = asyncio.create_task(reader.read(-1))
        try:
            while pending and not drain.done():
                writer.write(pending.pop())
                await writer.drain()
                await asyncio.sleep(0)
        except OSError:
            pass
        finally:
            writer.close()
            drain.cancel()
            await asyncio.gather(drain, return_exceptions=True)
