"""Logs: one event a line on standard error, as JSON or as text for people, written by a thread of its own.

A call site says what happened and hands values over by name: `log.info("call answered", extra={"call": id})`.
The formatter writes the names as keys, and masks telephone numbers when told to, so that no call site has to.
The event loop never waits for whoever reads the log: when the queue is full, lines are dropped and counted.
"""

import json
import logging
import logging.handlers
import queue
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

QUEUE_LINES = 20_000
"""How many lines may wait for the writing thread."""
STOP_S = 2.0
"""How long the end waits for whoever reads the log. Seconds."""

# What every record has; anything else was handed over by the call site.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "exc_text", "taskName"}
# A run of 7 to 15 digits, or a `+` with usual separators between digits (E.164 has 15 at most). Parts of host
# names, addresses, ids and decimal fractions are left alone.
_NUMBER = re.compile(r"(?<![\w.-])(?:\+\d(?:[ ().-]{0,2}\d){6,14}|\d{7,15})(?![\w.-]*[A-Za-z_]|\d|\.\d)")
_DIGIT = re.compile(r"\d")
_PLAIN = re.compile(r"[\w.:/@+*,;<>()\[\]%!?&#~^$-]+\Z")


def mask_numbers(text: str) -> str:
    """Give the text with all but the last two digits of each telephone number made `x`."""
    return _NUMBER.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    number = found[0]
    return _DIGIT.sub("x", number[:-2]) + number[-2:]


class _Formatter(logging.Formatter):
    """What both formats share: the time, the values handed over, masking."""

    def __init__(self, *, mask: bool) -> None:
        super().__init__()
        self._mask = mask

    def _text(self, text: str) -> str:
        return mask_numbers(text) if self._mask else text

    def _values(self, record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
        for key, value in vars(record).items():
            if key not in _OWN and not key.startswith("_"):
                plain = (
                    value
                    if value is None or isinstance(value, bool | int | float)
                    else self._text(str(value))
                )
                yield key, plain

    def _trace(self, record: logging.LogRecord) -> str:
        return self._text(record.exc_text) if record.exc_text else ""


class JsonFormatter(_Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `event`, and the values by name."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": self._text(record.getMessage()),
        }
        for key, value in self._values(record):
            line.setdefault(key, value)
        if trace := self._trace(record):
            line["traceback"] = trace
        return json.dumps(line, ensure_ascii=True, default=str)


class TextFormatter(_Formatter):
    """`2026-01-02 03:04:05.678 INFO sbc.calls: call answered call=c1`, tracebacks indented below."""

    def format(self, record: logging.LogRecord) -> str:
        """Give the line."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
        event = _one_line(self._text(record.getMessage()))
        pairs = "".join(f" {key}={_quoted(value)}" for key, value in self._values(record))
        line = f"{time} {record.levelname} {record.name}: {event}{pairs}"
        if trace := self._trace(record):
            line += "".join(f"\n    {part}" for part in trace.splitlines())
        return line


def _one_line(text: str) -> str:
    """Keep what a peer wrote from looking like a line of its own."""
    return text if text.isprintable() else json.dumps(text)[1:-1]


def _quoted(value: object) -> str:
    text = str(value)
    return text if _PLAIN.match(text) else json.dumps(text)


class _DroppingQueueHandler(logging.handlers.QueueHandler):
    """Hands records to the writing thread as they are; never blocks, never raises."""

    def __init__(self, lines: "queue.Queue[logging.LogRecord]") -> None:
        super().__init__(lines)
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Fix the text now: arguments may change before the thread comes to it."""
        record.msg = record.getMessage()
        record.args = None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_info = None
        return record

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue the record, or count it as dropped."""
        try:
            self.queue.put_nowait(record)
        except queue.Full:
            self.dropped += 1


class _Listener(logging.handlers.QueueListener):
    """The writing thread; a reader that is stuck cannot hold the end of the program."""

    def enqueue_sentinel(self) -> None:
        """Wait for room: the queue may be full just now."""
        self.queue.put(self._sentinel, timeout=STOP_S)  # type: ignore[attr-defined]  # stubs leave the mark out

    def stop(self) -> None:
        """End the thread when it has written what waits, or leave it behind (it is a daemon)."""
        thread, self._thread = self._thread, None
        if thread is not None:
            with suppress(queue.Full):
                self.enqueue_sentinel()
                thread.join(STOP_S)


class LogWriter:
    """The writing thread. Made by `start_logging`; `stop` writes what waits and puts the root logger back."""

    def __init__(self, formatter: logging.Formatter, level: str, stream: TextIO, lines: int) -> None:
        self._target = logging.StreamHandler(stream)
        self._target.setFormatter(formatter)
        self._handler = _DroppingQueueHandler(queue.Queue(lines))
        self._listener = _Listener(self._handler.queue, self._target)
        self._root = logging.getLogger()
        self._level_before = self._root.level
        self._root.addHandler(self._handler)
        self._root.setLevel(level.upper())
        self._listener.start()

    @property
    def dropped(self) -> int:
        """How many lines were lost because nobody read them fast enough."""
        return self._handler.dropped

    def stop(self) -> None:
        """Write what waits and end the thread."""
        self._root.removeHandler(self._handler)
        self._root.setLevel(self._level_before)
        self._listener.stop()
        if self.dropped:
            record = logging.makeLogRecord(
                {
                    "name": __name__,
                    "levelno": logging.WARNING,
                    "levelname": "WARNING",
                    "msg": "log lines dropped",
                }
            )
            record.__dict__["lines"] = self.dropped
            self._target.handle(record)
        self._handler.close()
        self._target.close()


def start_logging(
    level: str,
    style: Literal["json", "text"],
    *,
    mask: bool,
    stream: TextIO | None = None,
    lines: int = QUEUE_LINES,
) -> LogWriter:
    """Send the root logger's records to `stream` (standard error) through a thread, until `stop`."""
    formatter = JsonFormatter(mask=mask) if style == "json" else TextFormatter(mask=mask)
    return LogWriter(formatter, level, stream or sys.stderr, lines)
