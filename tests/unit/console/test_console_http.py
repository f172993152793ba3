"""The HTTP port answers as documented, on a socket of its own, and leaves the process's signals alone."""

import asyncio
import json
import signal
import socket
from collections.abc import AsyncIterator

import pytest

from console import ConsoleServer, ListenError, Metrics, StatusBoard, TrunkFacts, build_app, watch_loop_lag
from events import EventBus, MediaEngineState


class Node:
    """A served console and what stands behind it."""

    def __init__(self) -> None:
        self.drains: list[str] = []
        self.metrics = Metrics()
        self.board = StatusBoard(
            node="sbc1",
            fqdn="sbc1.contoso.example",
            version="9.9",
            trunks=(TrunkFacts("t", "talkdesk", "contoso", probed=False),),
            request_drain=lambda: self.drains.append("api"),
        )
        self.bus = EventBus(lambda event, handler, error: (_ for _ in ()).throw(error))
        self.board.subscribe(self.bus)
        self.server = ConsoleServer(build_app(self.metrics, self.board, version="9.9"), "127.0.0.1", 0)

    async def ask(self, request: str) -> tuple[int, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server.bound_port)
        writer.write(f"{request}\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = await asyncio.wait_for(reader.read(), 5)
        writer.close()
        await writer.wait_closed()
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        return int(lines[0].split()[1]), headers, body


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    made = Node()
    await made.server.start()
    try:
        yield made
    finally:
        await made.server.stop()


async def test_health_tells_alive_from_ready(node: Node) -> None:
    assert (await node.ask("GET /health/live HTTP/1.1"))[0] == 200
    code, _, body = await node.ask("GET /health/ready HTTP/1.1")
    assert (code, json.loads(body)["reasons"]) == (503, ["the node is starting", "no media engine is up"])
    node.board.phase_is("ready", "started")
    node.bus.publish(MediaEngineState("relay", up=True))
    code, _, body = await node.ask("GET /health/ready HTTP/1.1")
    assert (code, json.loads(body)) == (200, {"ready": True, "reasons": []})


async def test_metrics_and_status_are_served(node: Node) -> None:
    code, headers, body = await node.ask("GET /metrics HTTP/1.1")
    assert (code, headers["content-type"].split(";")[0]) == (200, "text/plain")
    assert b"\ntrunkline_active_calls 0.0\n" in body
    assert headers["content-type"].count("charset") == 1
    code, _, body = await node.ask("GET /api/v1/status HTTP/1.1")
    assert (code, json.loads(body)["version"]) == (200, "9.9")


async def test_the_openapi_document_names_every_path_and_pages_load_nothing_from_elsewhere(
    node: Node,
) -> None:
    code, _, body = await node.ask("GET /api/v1/openapi.json HTTP/1.1")
    assert code == 200
    assert set(json.loads(body)["paths"]) == {
        "/health/live",
        "/health/ready",
        "/metrics",
        "/api/v1/status",
        "/api/v1/drain",
    }
    for path in ("/docs", "/redoc", "/openapi.json", "/nothing"):
        assert (await node.ask(f"GET {path} HTTP/1.1"))[0] == 404


async def test_drain_is_for_programs_on_this_machine(node: Node) -> None:
    code, _, body = await node.ask("POST /api/v1/drain HTTP/1.1\r\nContent-Length: 0")
    assert (code, json.loads(body)) == (202, {"draining": True, "active_calls": 0})
    assert node.drains == ["api"]
    code, _, _ = await node.ask("POST /api/v1/drain HTTP/1.1\r\nOrigin: http://evil.example")
    assert code == 403
    code, _, _ = await node.ask("POST /api/v1/drain HTTP/1.1\r\nSec-Fetch-Site: cross-site")
    assert code == 403
    assert (await node.ask("GET /api/v1/drain HTTP/1.1"))[0] == 405
    assert node.drains == ["api"]


async def test_drain_from_another_address_is_refused_whatever_the_headers_say() -> None:
    made = Node()
    app = build_app(made.metrics, made.board, version="1")
    codes = []
    for host in ("192.0.2.7", "::ffff:192.0.2.7", "nonsense", "::ffff:127.0.0.1", "::1", "127.0.0.9"):
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: dict[str, object], sent: list[dict[str, object]] = sent) -> None:
            sent.append(message)

        scope = {
            "type": "http", "method": "POST", "path": "/api/v1/drain", "raw_path": b"/api/v1/drain",
            "query_string": b"", "headers": [(b"x-forwarded-for", b"127.0.0.1")], "client": (host, 1),
            "server": ("x", 80), "scheme": "http", "http_version": "1.1", "asgi": {"version": "3.0"},
            "root_path": "",
        }  # fmt: skip
        await app(scope, receive, send)  # type: ignore[arg-type]  # plain dictionaries will do
        codes.append(sent[0]["status"])
    assert codes == [403, 403, 403, 202, 202, 202]


async def test_a_taken_port_is_a_plain_error(node: Node) -> None:
    app = build_app(node.metrics, node.board, version="1")
    second = ConsoleServer(app, "127.0.0.1", node.server.bound_port)
    with pytest.raises(ListenError, match=f"127.0.0.1 port {node.server.bound_port}: Address already in use"):
        await second.start()
    await second.stop()


async def test_signals_stay_the_programs() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    made = Node()
    await made.server.start()
    await made.ask("GET /health/live HTTP/1.1")
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before
    await made.server.stop()


async def test_the_port_is_free_again_after_stop() -> None:
    made = Node()
    await made.server.start()
    port = made.server.bound_port
    await made.server.stop()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", port))


async def test_loop_lag_is_measured() -> None:
    seen: list[float] = []
    enough = asyncio.Event()

    def observe(lag_s: float) -> None:
        seen.append(lag_s)
        if len(seen) >= 3:
            enough.set()

    task = asyncio.create_task(watch_loop_lag(observe, 0.001))
    await asyncio.wait_for(enough.wait(), 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert all(0 <= lag_s < 5 for lag_s in seen)
