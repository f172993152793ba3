"""`trunkline call`: a real test call through the running node, judged by what is heard.

The caller plays its own print of tones. A callee that sends back what it hears (the sandbox's people, an echo service) proves the
direction to the callee by content; a callee that does not is judged by the packets that the node relayed, and the report says so.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from config import ConfigError, Settings, load_settings
from sandbox.caller import Phone, PhoneCall
from sandbox.tones import CALLEE_HZ, Print
from sbc.sip.message import Response
from sbc.transport import TransportError

SANDBOX_CONFIG = Path("var/sandbox/trunkline.toml")
CONFIG_VARIABLE = "TRUNKLINE_CONFIG"
_WARNING = re.compile(r'399\s+\S+\s+"(.*)"')
_WORDS = {
    "unknown": "unknown_target",
    "no person": "unknown_target",
    "no business phone": "no_business_phone",
    "not in E.164": "not_e164",
    "switched off": "routing_disabled",
    "may not be called": "destination_barred",
    "draining": "draining",
}


@dataclass
class Report:
    """What a test call showed."""

    target: str
    ok: bool = False
    status: int = 0
    setup_ms: float | None = None
    """From INVITE to 200."""
    ringing_ms: float | None = None
    audio_to_callee: bool = False
    audio_to_caller: bool = False
    audio_to_callee_evidence: str = "none"
    """``echo``: our own sound came back; ``none``."""
    audio_to_caller_evidence: str = "none"
    """``content``: audio was heard and it was no echo of ours; ``none``."""
    packets_sent: int = 0
    packets_received: int = 0
    diagnosis: str = "ok"
    detail: str = ""
    """The diagnosis in a sentence."""
    ladder: list[str] = field(default_factory=list)


def main(
    target: str,
    *,
    as_json: bool = False,
    config: Path | None = None,
    transport: str | None = None,
    seconds: float = 3.0,
    number: str = "+14255550190",
) -> int:
    """Place the call and print the report; returns 0 only when audio was heard both ways."""
    try:
        settings = _settings(config)
    except ConfigError as error:
        for problem in error.problems:
            print(problem, file=sys.stderr)  # noqa: T201 - a command's output
        return 2
    if settings is None:
        print(  # noqa: T201
            f"no configuration: give --config, set {CONFIG_VARIABLE}, or start the sandbox first (./dev run)",
            file=sys.stderr,
        )
        return 2
    report = asyncio.run(place(target, settings, transport=transport, seconds=seconds, number=number))
    print(json.dumps(asdict(report)) if as_json else _text(report))  # noqa: T201
    return 0 if report.ok else 1


def _settings(config: Path | None) -> Settings | None:
    path = config or (Path(os.environ[CONFIG_VARIABLE]) if CONFIG_VARIABLE in os.environ else SANDBOX_CONFIG)
    if config is None and not path.exists():
        return None
    return load_settings(path, os.environ)


async def place(
    target: str,
    settings: Settings,
    *,
    transport: str | None = None,
    seconds: float = 3.0,
    number: str = "+14255550190",
) -> Report:
    """Place a test call through the node that runs with these settings."""
    report = Report(target)
    trunk = next((t for t in settings.trunks if t.kind == "talkdesk"), None)
    if trunk is None:
        return _failed(report, "no_trunk", "the configuration has no talkdesk trunk to call from")
    names = [name for name in trunk.accept_on if transport in (None, settings.listener(name).transport)]
    if not names:
        return _failed(report, "no_listener", f"trunk {trunk.name} is not reachable over {transport}")
    listener = settings.listener(names[0] if transport else trunk.listener)
    host = (
        "127.0.0.1"
        if listener.address == "0.0.0.0"  # noqa: S104 - compared, not bound
        else "::1"
        if listener.address == "::"
        else listener.address
    )
    phone = Phone(
        host if _is_loopback(host) else "127.0.0.1", listener.transport.upper(), ca_file=trunk.ca_file
    )
    await phone.start()
    try:
        await asyncio.wait_for(
            _call(phone, report, (host, listener.port, trunk.fqdn), target, seconds, number), seconds + 45
        )
    except (TransportError, ConnectionError, TimeoutError, OSError) as error:
        _failed(
            report,
            "unreachable",
            f"no answer from {host}:{listener.port} over {listener.transport} — is the node running? ({error})",
        )
    finally:
        report.ladder = _ladder(phone)
        await phone.stop()
    return report


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


async def _call(
    phone: Phone, report: Report, node: tuple[str, int, str], target: str, seconds: float, number: str
) -> None:
    host, port, name = node
    flow = await phone.reach(host, port, name)
    began = time.monotonic()
    shown = f"[{host}]" if ":" in host else host
    user = target.removeprefix("sip:").removeprefix("tel:").replace("@", "%40").replace(" ", "")
    call, exchange = await phone.invite(f"sip:{user}@{shown}:{port}", flow, number=number)
    try:
        async with asyncio.timeout(6):
            while not exchange.responses and not exchange.final.done():
                await asyncio.sleep(0.005)
    except TimeoutError:
        raise ConnectionError("no response at all") from None
    while not exchange.final.done():
        if report.ringing_ms is None and any(180 <= response.status < 200 for response in exchange.responses):
            report.ringing_ms = _ms(began)
        await asyncio.sleep(0.002)
    final = exchange.final.result()
    report.status = final.status
    if final.status >= 300:
        _refused(report, final)
        return
    report.setup_ms = _ms(began)
    phone.accept(call, exchange, final)
    await _listen(phone, call, report, seconds)
    await phone.hang_up(call)
    _judge(report, call)


async def _listen(phone: Phone, call: PhoneCall, report: Report, seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and not call.over.is_set():
        await asyncio.sleep(0.1)
    media = call.media
    report.packets_sent, report.packets_received = media.sent, media.received
    if media.returned.recognises(phone.print):
        report.audio_to_callee, report.audio_to_callee_evidence = True, "echo"
    if any(media.heard.recognises(candidate) for candidate in _candidates()) or media.heard.sounding:
        report.audio_to_caller, report.audio_to_caller_evidence = True, "content"


def _candidates() -> list[Print]:
    from sandbox.tenant import PEOPLE  # noqa: PLC0415 - the sandbox's people are known; others are judged by sound

    return [Print.choose(CALLEE_HZ, person.person_id) for person in PEOPLE]


def _judge(report: Report, call: PhoneCall) -> None:
    report.ok = report.audio_to_callee and report.audio_to_caller
    if report.ok:
        report.detail = "answered, audio heard in both directions"
    elif not report.packets_received:
        _failed(report, "no_audio", "answered, but nothing was heard")
    elif report.audio_to_caller:
        _failed(
            report,
            "audio_to_callee_unproven",
            "the callee was heard; whether it heard us is unproven, because it does not echo (people do not)",
        )
    else:
        _failed(report, "one_way_audio", "answered, but the callee's own sound was not heard")


def _refused(report: Report, final: Response) -> None:
    warning = _WARNING.search(final.headers.first("Warning") or "")
    sentence = warning[1] if warning else final.headers.first("Reason") or final.reason
    word = next((word for text, word in _WORDS.items() if text in sentence), f"refused_{final.status}")
    _failed(report, word, f"{final.status} {final.reason}: {sentence}")


def _failed(report: Report, word: str, sentence: str) -> Report:
    report.ok, report.diagnosis, report.detail = False, word, sentence
    return report


def _ms(began: float) -> float:
    return round((time.monotonic() - began) * 1000, 1)


def _ladder(phone: Phone) -> list[str]:
    if not phone.wire:
        return []
    start = phone.wire[0][0]
    lines = []
    for at, direction, message in phone.wire:
        arrow = "caller ─────▶ node" if direction == ">" else "caller ◀───── node"
        lines.append(
            f"{(at - start) * 1000:9.1f} ms  {arrow}  {message.start_line.removesuffix(' SIP/2.0').removeprefix('SIP/2.0 ')}"
        )
    return lines


def _text(report: Report) -> str:
    def yes(flag: bool, evidence: str) -> str:
        return f"heard ({evidence})" if flag else "not heard"

    lines = [
        f"call to {report.target}: {'ok' if report.ok else 'FAILED'} — {report.diagnosis}: {report.detail}"
    ]
    if report.setup_ms is not None:
        ringing = f", ringing after {report.ringing_ms} ms" if report.ringing_ms is not None else ""
        lines.append(f"  set-up            {report.setup_ms} ms{ringing}")
        lines.append(f"  audio to callee   {yes(report.audio_to_callee, report.audio_to_callee_evidence)}")
        lines.append(f"  audio to caller   {yes(report.audio_to_caller, report.audio_to_caller_evidence)}")
        lines.append(f"  packets           {report.packets_sent} sent, {report.packets_received} received")
    lines += ["", *report.ladder]
    return "\n".join(lines)
