"""The command line: exit codes, sentences instead of tracebacks, and what it asks a node."""

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from trunkline import __version__
from trunkline.cli import app

ROOT = Path(__file__).parents[3]
RUNNER = CliRunner()


def test_help_names_every_command_and_is_quick_to_load() -> None:
    result = RUNNER.invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in ("run", "check", "sandbox", "call", "status", "drain"):
        assert f"\n  {command} " in result.output
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, trunkline.cli; print(*sys.modules)"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    ).stdout.split()  # fmt: skip
    assert "fastapi" not in loaded
    assert "uvicorn" not in loaded


def test_the_version_is_printed() -> None:
    result = RUNNER.invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"trunkline {__version__}\n")


def test_a_wrong_configuration_is_told_in_lines_with_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "t.toml"
    file.write_text("[node]\nfqnd = 5\n")
    for command in ("run", "check"):
        result = RUNNER.invoke(app, [command, "--config", str(file)])
        assert result.exit_code == 2
        assert f"{file}:2: node: fqnd: unknown key; did you mean fqdn?" in result.output
        assert "The configuration has 5 problems." in result.output
    result = RUNNER.invoke(app, ["check", "--config", str(file), "--json"])
    assert result.exit_code == 2
    answer = json.loads(result.output)
    assert not answer["ok"]
    wrong = next(problem for problem in answer["problems"] if problem["path"] == "node: fqnd")
    assert (wrong["where"], wrong["line"]) == (str(file), 2)


class Handler(http.server.BaseHTTPRequestHandler):
    """A node that answers what the test says."""

    answer: ClassVar[tuple[int, bytes]] = (200, b"{}")
    asked: ClassVar[list[str]] = []

    def handle_one_request(self) -> None:
        self.close_connection = True
        self.raw_requestline = self.rfile.readline(65537)
        if self.parse_request():
            self.asked.append(f"{self.command} {self.path}")
            code, body = self.answer
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@pytest.fixture
def node() -> Iterator[tuple[str, type[Handler]]]:
    class Mine(Handler):
        asked: ClassVar[list[str]] = []

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", Mine
    server.shutdown()
    thread.join()
    server.server_close()


STATE = {
    "node": "sbc1", "fqdn": "sbc1.contoso.example", "version": "1", "phase": "draining", "ready": False,
    "reasons": ["the node is draining"], "uptime_s": 5.0, "active_calls": 3,
    "trunks": [{"name": "t", "kind": "teams", "tenant": "c", "state": "up",
                "peers": [{"peer": "h:5061", "up": True, "reason": "200"}]}],
    "certificates": [{"name": "main", "days_left": 12.0}],
    "directories": [{"tenant": "c", "people": 4, "findings": 0}],
    "media": [{"engine": "relay", "up": False, "reason": "exit 1"}],
}  # fmt: skip


def test_status_shows_the_state_and_tells_ready_by_its_exit_code(node: tuple[str, type[Handler]]) -> None:
    url, handler = node
    handler.answer = (200, json.dumps(STATE).encode())
    result = RUNNER.invoke(app, ["status", "--url", url])
    assert result.exit_code == 1
    assert "not ready: the node is draining" in result.output
    assert "  h:5061: up, 200" in result.output
    assert "media engine relay: down exit 1" in result.output
    handler.answer = (200, json.dumps({**STATE, "ready": True}).encode())
    result = RUNNER.invoke(app, ["status", "--url", url, "--json"])
    assert (result.exit_code, json.loads(result.output)["active_calls"]) == (0, 3)
    assert handler.asked == ["GET /api/v1/status"] * 2


def test_drain_asks_the_node(node: tuple[str, type[Handler]]) -> None:
    url, handler = node
    handler.answer = (202, b'{"draining": true, "active_calls": 2}')
    result = RUNNER.invoke(app, ["drain", "--url", url + "/"])
    assert (result.exit_code, result.output) == (0, "The node drains; 2 calls in progress.\n")
    assert handler.asked == ["POST /api/v1/drain"]
    handler.answer = (403, b'{"detail": "only a program on the same machine may do this"}')
    result = RUNNER.invoke(app, ["drain", "--url", url])
    assert result.exit_code == 1
    assert "answered 403: only a program on the same machine" in result.output


def test_no_node_and_no_sense_are_sentences(node: tuple[str, type[Handler]]) -> None:
    url, handler = node
    for body in (b"<html>", b"[]"):
        handler.answer = (200, body)
        result = RUNNER.invoke(app, ["status", "--url", url])
        assert (result.exit_code, "is not a node's interface" in result.output) == (1, True)
    for wrong, words in (
        ("http://127.0.0.1:1", "no node answers"),
        ("file:///etc/passwd", "not an HTTP address"),
    ):
        result = RUNNER.invoke(app, ["status", "--url", wrong])
        assert (result.exit_code, words in result.output) == (1, True)
        assert "Traceback" not in result.output
