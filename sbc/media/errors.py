"""Errors of the media package.

MediaError                    carries the SIP status, phrase and reason code that a call ends with
├── MediaEngineDown           the engine is not there, or went away while it was asked
├── MediaTimeout              the engine did not answer in time
├── MediaRefused              the engine answered "error"; `reason` is its sentence
│   ├── NoPortsLeft           every media port is taken
│   ├── UnusableSdp           the peer's SDP cannot be carried: no audio, no acceptable key, ...
│   └── UnknownCall           the engine has no such call (it was restarted, or the call expired)
└── MediaProtocolError        what the engine sent is not the NG protocol
"""

from __future__ import annotations

from typing import ClassVar


class MediaError(Exception):
    """Root of the package's errors: the call cannot have its media, and this is how to say so."""

    status: ClassVar[int] = 503
    """The SIP status to answer with."""
    phrase: ClassVar[str] = "Media engine fault"
    """A reason phrase for it."""
    code: ClassVar[str] = "media_engine_fault"
    """A word for metrics and records."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class MediaEngineDown(MediaError):  # noqa: N818 - names a state of the engine
    """The engine is not there, or went away while it was asked."""

    phrase = "Media engine down"
    code = "media_engine_down"


class MediaTimeout(MediaError):  # noqa: N818 - likewise
    """The engine did not answer in time."""

    phrase = "Media engine does not answer"
    code = "media_engine_timeout"


class MediaRefused(MediaError):  # noqa: N818 - names the engine's answer
    """The engine answered with an error; `reason` is what it said."""

    phrase = "Media engine refused"
    code = "media_refused"


class NoPortsLeft(MediaRefused):
    """Every media port is taken."""

    phrase = "No media ports left"
    code = "media_no_ports"


class UnusableSdp(MediaRefused):
    """The peer's SDP cannot be carried: no audio, no acceptable key, an address of the wrong family."""

    status = 488
    phrase = "Media not acceptable"
    code = "media_not_acceptable"


class UnknownCall(MediaRefused):
    """The engine has no such call: it was restarted, or the call expired."""

    phrase = "Media session lost"
    code = "media_session_lost"


class MediaProtocolError(MediaError):
    """What the engine sent is not the NG protocol."""

    phrase = "Media engine not understood"
    code = "media_protocol"
