"""Health checks: OPTIONS to every target of a trunk (Direct Routing: the SBC starts, once a minute, to every hub).

An answered OPTIONS also keeps our connection to the hub open and is what makes Teams show the border controller as active. A
target that cannot be reached is asked again sooner, because no OPTIONS leaves then and a hub that comes back should be used
at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from config.trunks import Target
from sbc.sip.message import Request, Response
from sbc.sip.uri import NameAddr
from sbc.transport import Flow
from sbc.trunks.health import retry_after
from sbc.trunks.profile import uri
from sbc.trunks.trunk import Trunk

log = logging.getLogger(__name__)

RETRY_S = (2.0, 5.0, 10.0, 20.0, 30.0)
"""Waits after failed connection attempts, before the ordinary interval takes over."""


class Prober(Protocol):
    """What the monitor needs of the endpoint and its connections."""

    def with_target(
        self, trunk: Trunk, target: Target, use: Callable[[Flow], None], failed: Callable[[str], None]
    ) -> None:
        """Find or dial a connection to a trunk's target."""

    def send_request(self, request: Request, flow: Flow, trunk: Trunk, user: Probe) -> object:
        """Start a client transaction."""

    def new_tag(self) -> str:
        """Return a fresh tag."""

    def new_call_id(self) -> str:
        """Return a fresh Call-ID."""


class Probe:
    """One OPTIONS and its outcome: the response, or a sentence why there is none."""

    def __init__(self, outcome: asyncio.Future[Response | str]) -> None:
        self._outcome = outcome

    def on_response(self, response: Response) -> None:
        """Take the answer."""
        if response.status >= 200 and not self._outcome.done():
            self._outcome.set_result(response)

    def on_failure(self, kind: str) -> None:
        """Take the lack of one."""
        self.failed("no answer to OPTIONS" if kind == "timeout" else "connection lost")

    def failed(self, reason: str) -> None:
        """Note why no OPTIONS could be sent or answered."""
        if not self._outcome.done():
            self._outcome.set_result(reason)


def options(trunk: Trunk, target: Target, contact: str, *, call_id: str, tag: str, cseq: int) -> Request:
    """Build a health check as the hub wants it: FQDN in From and Contact, and Allow (Direct Routing, OPTIONS)."""
    own = NameAddr("", uri(trunk.settings.fqdn, None))
    return Request(
        "OPTIONS",
        trunk.profile.options_uri(target),
        (
            ("Max-Forwards", "70"),
            ("From", str(own.with_tag(tag))),
            ("To", str(NameAddr("", uri(target.host, target.port)))),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} OPTIONS"),
            ("Contact", contact),
            *trunk.profile.capabilities,
            ("Accept", "application/sdp"),
        ),
        b"",
    )


async def probe(prober: Prober, trunk: Trunk, target: Target, cseq: int = 1) -> Response | str:
    """Ask one target OPTIONS; returns its final response, or a sentence why there is none."""
    outcome: asyncio.Future[Response | str] = asyncio.get_running_loop().create_future()
    asking = Probe(outcome)

    def ask(flow: Flow) -> None:
        request = options(
            trunk,
            target,
            trunk.contact(flow, ""),
            call_id=prober.new_call_id(),
            tag=prober.new_tag(),
            cseq=cseq,
        )
        prober.send_request(request, flow, trunk, asking)

    prober.with_target(trunk, target, ask, asking.failed)
    return await outcome


async def watch(prober: Prober, trunk: Trunk, target: Target) -> None:
    """Ask a target for ever, and keep the trunk's health; ends when cancelled."""
    interval_s = trunk.settings.options_interval_s
    failures, cseq = 0, 0
    while True:
        cseq += 1
        answer = await probe(prober, trunk, target, cseq)
        if isinstance(answer, str):
            trunk.health.failed(target, answer)
            wait = RETRY_S[failures] if failures < len(RETRY_S) else interval_s
            failures += 1
            await asyncio.sleep(min(wait, interval_s))
            continue
        failures = 0
        if answer.status == 503:
            trunk.health.shed(target, retry_after(answer))
        else:
            if answer.status >= 300:
                reason = answer.headers.first("Reason") or ""
                log.warning(
                    "target answers OPTIONS with a refusal",
                    extra={
                        "trunk": trunk.name,
                        "peer": target.host,
                        "status": answer.status,
                        "detail": reason,
                    },
                )
            trunk.health.reacted(target)
        await asyncio.sleep(interval_s)
