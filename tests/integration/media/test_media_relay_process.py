"""The embedded relay as a process: its NG socket, its supervisor, and a minute of audio."""

import asyncio
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from sbc.media import MediaEngineDown, MediaTimeout, NoPortsLeft
from sbc.media.bencode import decode_dict, encode
from sbc.media.client import NgClient
from sbc.media.pool import MediaPool
from sbc.media.profiles import media_profile
from sbc.media.supervisor import RelayOptions, RelaySupervisor
from tests.support.media_peers import Phone, rtp_packet

RTP, TEAMS = media_profile("rtp"), media_profile("teams")
ROOT = Path(__file__).parents[3]
LOOPBACK = (("default", "127.0.0.1", "127.0.0.1"),)
KEY_B = bytes(range(30))


def stream(sender: Phone, sequence: list[int], ssrc: int) -> tuple[list[bytes], list[bytes]]:
    """Return the packets, each with its own content, and what of them goes on the wire."""
    packets = [rtp_packet(seq, seq * 160, ssrc, seq.to_bytes(4, "big") * 40) for seq in sequence]
    return packets, [sender.protect(packet) for packet in packets]


def exchange(a: Phone, b: Phone, sequence: list[int], pace_s: float) -> None:
    """Send the sequence both ways at once, paced; each must receive the other's, in order and octet for octet."""
    from_a, wire_a = stream(a, sequence, 1)
    from_b, wire_b = stream(b, sequence, 2)
    got_a: list[bytes] = []
    got_b: list[bytes] = []
    sockets = {a.rtp: (a, got_a), b.rtp: (b, got_b)}

    def drain(wait_s: float) -> bool:
        ready = select.select(list(sockets), [], [], wait_s)[0]
        for sock in ready:
            phone, got = sockets[sock]
            got.append(phone.receive())
        return bool(ready)

    due = time.monotonic()
    for one, other in zip(wire_a, wire_b, strict=True):
        a.rtp.sendto(one, ("127.0.0.1", a.target))
        b.rtp.sendto(other, ("127.0.0.1", b.target))
        due += pace_s
        while (left := due - time.monotonic()) > 0:
            drain(left)
    while (len(got_a), len(got_b)) != (len(from_b), len(from_a)) and drain(1.0):
        pass
    assert got_b == from_a
    assert got_a == from_b


async def connect(engine: NgClient, a: Phone, b: Phone) -> None:
    b.takes(await engine.offer("call", "a", a.sdp(), towards=TEAMS, received_on=RTP))
    a.takes(await engine.answer("call", "a", "b", b.sdp(), towards=RTP, received_on=TEAMS))


async def test_a_minute_of_audio_loses_nothing_and_survives_the_wrap(relay, phones):
    a, b = phones(), phones(key=KEY_B)
    await connect(relay, a, b)
    sequence = list(range(65536 - 1500, 65536 + 1500))
    await asyncio.to_thread(exchange, a, b, sequence, 0.002)
    stats = await relay.delete("call", "a")
    assert (stats.packets, stats.lost) == (6000, 0)
    assert stats.mos is not None
    assert stats.mos > 4.2


async def test_the_wrap_is_survived_with_loss_and_reordering_around_it(relay, phones):
    a, b = phones(), phones(key=KEY_B)
    await connect(relay, a, b)
    start = 65536 - 40
    sequence = [seq for seq in range(start, 65536 + 40) if seq not in (65534, 65536, 65540)]
    for at in range(1, len(sequence) - 1, 3):
        sequence[at], sequence[at + 1] = sequence[at + 1], sequence[at]
    await asyncio.to_thread(exchange, a, b, sequence, 0.002)
    stats = await relay.query("call")
    assert stats.lost == 6


async def test_several_rollovers_are_survived(relay, phones):
    a, b = phones(), phones(key=KEY_B)
    await connect(relay, a, b)
    await asyncio.to_thread(exchange, a, b, list(range(0, 65536 * 6, 20_000)), 0.002)


def raw_ng(address: tuple[str, int]) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect(address)
    sock.settimeout(2)
    return sock


async def test_a_repeated_command_is_answered_from_memory_and_not_carried_out_again(relay, phones):
    command = {"command": "offer", "call-id": "x", "from-tag": "a", "sdp": phones().sdp()}
    with raw_ng(relay.address) as sock:
        answers = []
        for _ in range(3):
            sock.send(b"same " + encode(command))
            answers.append(sock.recv(65535))
        assert answers[0] == answers[1] == answers[2]
        sock.send(b"stat " + encode({"command": "statistics"}))
        assert decode_dict(sock.recv(65535)[5:])["calls"] == 1
        for _ in range(2):
            sock.send(b"gone " + encode({"command": "delete", "call-id": "x", "from-tag": "a"}))
            assert len(decode_dict(sock.recv(65535)[5:])["streams"]) == 2


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"cookie",
        b"cookie ",
        b"c x",
        b"c d7:command",
        b"c " + b"l" * 60000,
        b"c i1e",
        b"x" * 70 + b" de",
    ],
)
async def test_a_malformed_command_does_not_end_the_relay(relay, data):
    with raw_ng(relay.address) as sock:
        sock.send(data)
        sock.send(b"after d7:command4:pinge")
        while not (reply := sock.recv(65535)).startswith(b"after"):
            assert b"5:error" in reply
        assert reply == b"after d6:result4:ponge"


async def test_a_killed_relay_is_back_within_a_second_and_its_calls_are_named(phones):
    lost: list[tuple[list[str], str]] = []
    states: list[bool] = []
    back = asyncio.Event()

    def on_state(up: bool, reason: str) -> None:
        states.append(up)
        if len(states) == 3:
            back.set()

    supervisor = RelaySupervisor(
        RelayOptions(LOOPBACK, 29000, 29099),
        on_lost=lambda calls, reason: lost.append((list(calls), reason)),
        on_state=on_state,
    )
    await supervisor.start()
    try:
        a = phones()
        for call in ("one", "two", "done"):
            await supervisor.client.offer(call, "a", a.sdp(), towards=RTP, received_on=RTP)
        await supervisor.client.delete("done", "a")
        os.kill(supervisor.pid, signal.SIGKILL)
        began = time.monotonic()
        async with asyncio.timeout(5):
            await back.wait()
        assert time.monotonic() - began < 1.0
        assert states == [True, False, True]
        assert [calls for calls, _ in lost] == [["one", "two"]]
        assert "-9" in lost[0][1]
        assert supervisor.restarts == 1
        await supervisor.client.offer("one", "a", a.sdp(), towards=RTP, received_on=RTP)
    finally:
        await supervisor.stop()
    assert supervisor.pid is None


async def test_a_relay_that_hangs_is_replaced_and_what_was_asked_fails(phones):
    lost = asyncio.Event()
    supervisor = RelaySupervisor(
        RelayOptions(LOOPBACK, 29100, 29199), timeout_s=0.2, on_lost=lambda _calls, _reason: lost.set()
    )
    await supervisor.start()
    try:
        os.kill(supervisor.pid, signal.SIGSTOP)
        with pytest.raises(MediaTimeout):
            await supervisor.client.ping()
        async with asyncio.timeout(10):
            await lost.wait()
    finally:
        await supervisor.stop()


async def test_what_is_in_flight_fails_when_the_engine_is_lost():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        client = NgClient(timeout_s=5)
        await client.connect(*mute.getsockname())
        task = asyncio.create_task(client.ping())
        await asyncio.sleep(0)
        client.engine_lost("it died")
        with pytest.raises(MediaEngineDown, match="it died"):
            await task
        with pytest.raises(MediaEngineDown):
            await client.ping()


async def test_an_offer_given_up_on_is_taken_back_so_that_no_port_stays_taken(phones):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        mute.setblocking(False)
        client = NgClient(timeout_s=0.1)
        await client.connect(*mute.getsockname())
        with pytest.raises(MediaTimeout):
            await client.offer("x", "a", phones().sdp(), towards=RTP, received_on=RTP)
        commands = []
        async with asyncio.timeout(2):
            while b"delete" not in commands:
                datagram = await asyncio.get_running_loop().sock_recv(mute, 65535)
                command = decode_dict(datagram.partition(b" ")[2])
                commands.append(command["command"])
                assert command["call-id"] == b"x"
        assert commands[0] == b"offer"
        client.close()


async def test_nobody_there_is_told_from_a_mute_engine():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as mute:
        mute.bind(("127.0.0.1", 0))
        address = mute.getsockname()
        client = NgClient(timeout_s=0.2)
        await client.connect(*address)
        with pytest.raises(MediaTimeout):
            await client.ping()
    with pytest.raises(MediaEngineDown):
        await client.ping()
    client.close()


async def test_a_relay_that_cannot_start_says_why():
    supervisor = RelaySupervisor(RelayOptions((("default", "127.0.0.1", "not-an-address"),)))
    with pytest.raises(MediaEngineDown, match="does not start"):
        await supervisor.start()
    assert supervisor.pid is None


async def test_a_relay_ends_with_whoever_started_it():
    options = RelayOptions(LOOPBACK, 29200, 29299)
    supervisor = RelaySupervisor(options)
    await supervisor.start()
    pid = supervisor.pid
    await supervisor.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_pool_passes_over_an_engine_without_ports_and_stays_with_a_calls_engine(phones):
    a = phones()
    small = RelaySupervisor(RelayOptions(LOOPBACK, 29300, 29303))
    large = RelaySupervisor(RelayOptions(LOOPBACK, 29304, 29399))
    await small.start()
    await large.start()
    pool = MediaPool([small.client, large.client])
    try:
        for number in range(6):
            await pool.offer(f"c{number}", "a", a.sdp(), towards=RTP, received_on=RTP)
        assert (len(small.client.calls), len(large.client.calls)) == (1, 5)
        for number in range(6):
            await pool.answer(f"c{number}", "a", "b", a.sdp(), towards=RTP, received_on=RTP)
            assert (await pool.query(f"c{number}")).packets == 0
            await pool.delete(f"c{number}", "a")
        assert not small.client.calls
        assert not large.client.calls
        with pytest.raises(NoPortsLeft):
            await MediaPool([small.client]).offer("again", "a", a.sdp(), towards=RTP, received_on=RTP)
    finally:
        await small.stop()
        await large.stop()


async def test_the_ready_line_is_json_for_other_supervisors():
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sbc.media.relay",
        "--interface=127.0.0.1",
        "--ports=29400-29409",
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        line = json.loads(await asyncio.wait_for(process.stdout.readline(), 10))
        assert line["ng"][0] == "127.0.0.1"
        assert line["pid"] == process.pid
    finally:
        process.terminate()
        assert await process.wait() == 0
