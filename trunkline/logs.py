"""Logs: one event a line on standard error, as JSON or as text for people, written by a thread of its own.

A call site says what happened and hands values over by name: `log.info("call answered", extra={"call": id})`.
The formatter writes the names as keys, and masks telephone numbers when told to, so that no call site has to.
The event loop never waits for whoever reads the log: when the queue is full, lines are dropped and counted.
"""

import json
import logging
import re
import sys
import threading
import traceback
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

QUEUE_LINES = 20_000
"""How many lines may wait for the writing thread."""
GATHER_S = 0.02
"""How long lines are gathered before they are written together. Seconds."""
MOST_AT_ONCE = 100
"""How many lines are written together at most."""
STOP_S = 2.0
"""How long the end waits for whoever reads the log. Seconds."""

# What every record has; anything else was handed over by the call site.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "exc_text", "taskName"}
# A run of 7 to 15 digits, or a `+` with usual separators between digits (E.164 has 15 at most). Parts of host
# names, addresses, ids and decimal fractions are left alone.
_NUMBER = re.compile(r"(?<![\w.-])(?:\+\d(?:[ ().-]{0,2}\d){6,14}|\d{7,15})(?![\w.-]*[A-Za-z_]|\d|\.\d)")
# What `logging` looks up for each record unless these are None.
_COSTLY = ("_srcfile", "logThreads", "logProcesses", "logMultiprocessing")
_DIGIT = re.compile(r"\d")
_ENCODE = json.JSONEncoder(default=str).encode
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
        return _ENCODE(line)


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


class LogWriter(logging.Handler):
    """Takes records at once and writes them from a thread, a few at a time; made by `start_logging`.

    While it lives, records carry no thread, process or source position: nothing shows them, and they cost.
    """

    def __init__(self, formatter: logging.Formatter, level: str, stream: TextIO, lines: int) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._stream = stream
        self._most = lines
        self._waiting: deque[logging.LogRecord] = deque()
        self._wake = threading.Event()
        self._end = threading.Event()
        self._writing = threading.Lock()
        self.dropped = 0
        """How many lines were lost because nobody read them fast enough."""
        self._root = logging.getLogger()
        self._level_before = self._root.level
        self._details_before = {name: getattr(logging, name) for name in _COSTLY}
        for name in _COSTLY:
            setattr(logging, name, None)
        self._root.addHandler(self)
        self._root.setLevel(level.upper())
        self._thread = threading.Thread(target=self._write_until_end, name="log", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Take the record, with its text as it is now: arguments may change before the thread comes to it."""
        if len(self._waiting) >= self._most:
            self.dropped += 1
            return
        if record.args:
            record.msg = record.getMessage()
            record.args = None
        if record.exc_info and record.exc_info[0] is not None:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            record.exc_info = None
        self._waiting.append(record)
        if not self._wake.is_set():
            self._wake.set()

    def flush(self) -> None:
        """Write what waits, from this thread; not when the writing thread is stuck."""
        if self._writing.acquire(timeout=STOP_S):
            try:
                self._write_waiting()
            finally:
                self._writing.release()

    def stop(self) -> None:
        """Write what waits, end the thread and put the root logger back; a stuck reader is left behind."""
        self._root.removeHandler(self)
        self._root.setLevel(self._level_before)
        for name, value in self._details_before.items():
            setattr(logging, name, value)
        self._end.set()
        self._wake.set()
        self._thread.join(STOP_S)
        if self.dropped and not self._thread.is_alive():
            record = logging.makeLogRecord(
                {"name": __name__, "levelname": "WARNING", "msg": "log lines dropped"}
            )
            record.__dict__["lines"] = self.dropped
            self._waiting.append(record)
            self.flush()
        self.close()

    def _write_until_end(self) -> None:
        while not self._end.is_set():
            self._wake.wait()
            self._end.wait(GATHER_S)
            self._wake.clear()
            with self._writing:
                self._write_waiting()

    def _write_waiting(self) -> None:
        while self._waiting:
            lines = [
                self.format(self._waiting.popleft()) for _ in range(min(len(self._waiting), MOST_AT_ONCE))
            ]
            with suppress(OSError, ValueError):  # nobody reads, or the stream was closed: nowhere to say so
                self._stream.write("\n".join(lines) + "\n")
                self._stream.flush()


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
