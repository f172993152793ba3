"""One event a line, numbers masked, and the loop never waits for whoever reads the log."""

import io
import json
import logging
import threading
from collections.abc import Iterator

import pytest

from trunkline.logs import LogWriter, TextFormatter, mask_numbers, start_logging


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("to +14255550101 now", "to +xxxxxxxxx01 now"),
        ("sip:+14255550101@contoso.example", "sip:+xxxxxxxxx01@contoso.example"),
        ("tel:4255550101;ext=5", "tel:xxxxxxxx01;ext=5"),
        ("<+1 (425) 555-0101>", "<+x (xxx) xxx-xx01>"),
        ("caller=5550101, callee=5550102", "caller=xxxxx01, callee=xxxxx02"),
        ("203.0.113.5:5061 and 2001:db8::1", "203.0.113.5:5061 and 2001:db8::1"),
        ("branch=z9hG4bK12345678", "branch=z9hG4bK12345678"),
        ("call 0123456789abcdef", "call 0123456789abcdef"),
        ("took 0.123456789 s", "took 0.123456789 s"),
        ("port 5061, code 404", "port 5061, code 404"),
    ],
)
def test_telephone_numbers_are_masked_and_nothing_else(text: str, masked: str) -> None:
    assert mask_numbers(text) == masked


class Log:
    def __init__(self) -> None:
        self.stream = io.StringIO()
        self.log = logging.getLogger("test.logs")
        self.writer: LogWriter | None = None

    def start(self, style: str, *, mask: bool = True) -> None:
        self.writer = start_logging("info", style, mask=mask, stream=self.stream)  # type: ignore[arg-type]  # a literal at each call

    def lines(self) -> list[str]:
        assert self.writer is not None
        self.writer.stop()
        self.writer = None
        return self.stream.getvalue().splitlines()


@pytest.fixture
def log() -> Iterator[Log]:
    made = Log()
    yield made
    if made.writer is not None:
        made.writer.stop()


def test_json_lines_have_values_by_name(log: Log) -> None:
    log.start("json")
    log.log.info(
        "call %s", "answered", extra={"call": "c1", "setup_ms": 41, "to": "+14255550101", "ok": True}
    )
    log.log.debug("not this")
    (line,) = log.lines()
    value = json.loads(line)
    assert value.pop("time").endswith("+00:00")
    assert value == {
        "level": "info", "logger": "test.logs", "event": "call answered",
        "call": "c1", "setup_ms": 41, "to": "+xxxxxxxxx01", "ok": True,
    }  # fmt: skip


def test_text_lines_are_for_people(log: Log) -> None:
    log.start("text", mask=False)
    log.log.warning("trunk down", extra={"trunk": "teams", "reason": 'said "no"', "to": "+14255550101"})
    (line,) = log.lines()
    assert line.split(" ", 2)[2] == (
        r'WARNING test.logs: trunk down trunk=teams reason="said \"no\"" to=+14255550101'
    )


def test_a_peer_cannot_write_a_line_of_its_own(log: Log) -> None:
    log.start("text")
    log.log.info("from %s", "a\r\n2026 ERROR forged", extra={"agent": "x\ny"})
    (line,) = log.lines()
    assert r"a\r\n2026 ERROR forged" in line
    assert r'agent="x\ny"' in line


def test_a_traceback_stays_with_its_event(log: Log) -> None:
    log.start("json")
    try:
        int("+14255550101 is no number")
    except ValueError:
        log.log.exception("failed")
    (line,) = log.lines()
    assert json.loads(line)["traceback"].endswith("'+xxxxxxxxx01 is no number'")


def test_arguments_are_read_when_the_event_happens(log: Log) -> None:
    log.start("text")
    value = ["before"]
    log.log.info("%s", value)
    value[0] = "after"
    assert "before" in log.lines()[0]


def test_when_nobody_reads_lines_are_dropped_and_counted_and_nobody_waits() -> None:
    gate = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            gate.wait(10)
            return super().write(text)

    stream = Stuck()
    writer = LogWriter(TextFormatter(mask=False), "info", stream, lines=10)
    log = logging.getLogger("test.stuck")
    for number in range(50):
        log.info("line %d", number)
    assert writer.dropped >= 30  # ten wait; up to ten more may be in the stuck thread's hands
    dropped = writer.dropped
    gate.set()
    writer.stop()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 50 - dropped + 1
    assert lines[-1].endswith(f"log lines dropped lines={dropped}")


def test_the_root_logger_is_left_as_it_was(log: Log) -> None:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    log.start("text")
    log.lines()
    assert (list(root.handlers), root.level) == (handlers, level)
