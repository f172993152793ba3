"""The back-to-back user agent: takes INVITEs, decides, and keeps the calls that follow from them.

Order for an INVITE: limits (emergency calls pass), then routing, then a `Call` of two legs. A refusal costs one response and
says why in its status, its reason phrase and a Warning header.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from config.trunks import Target
from events import CallAnswered, CallEnded, CallRinging, CallStarted, EventBus, MediaSummary
from sbc.b2bua import session_timer
from sbc.b2bua.bodies import session_description
from sbc.b2bua.call import Call, Record
from sbc.b2bua.core import UserAgentCore
from sbc.b2bua.events import LegEvent, MediaLost
from sbc.b2bua.inbound import InboundLeg
from sbc.b2bua.leg import Leg
from sbc.b2bua.outbound import Dialler, OutboundLeg
from sbc.b2bua.path import Path, Sender
from sbc.media import CallStats, MediaEngine
from sbc.sip.errors import ParseError
from sbc.sip.message import Request
from sbc.sip.transactions import ServerTransaction
from sbc.transport import Flow
from sbc.trunks.profile import OutgoingCall
from sbc.trunks.trunk import Trunk

log = logging.getLogger(__name__)

Direction = Literal["to_teams", "to_talkdesk"]


@dataclass(frozen=True, slots=True)
class Accepted:
    """An INVITE that becomes a call."""

    trunk: Trunk
    call: OutgoingCall
    targets: tuple[Target, ...]
    """Where to try, best first."""
    release: Callable[[], None]
    """To be called once when the call is over: gives back its place under the limits."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An INVITE that does not."""

    status: int
    phrase: str
    code: str
    detail: str
    headers: tuple[tuple[str, str], ...] = ()


class Gatekeeper(Protocol):
    """Limits and routing: what may become a call, and where it goes."""

    def decide(self, request: Request, trunk: Trunk) -> Accepted | Refused:
        """Decide an INVITE; no waiting, no I/O."""


class Core(UserAgentCore, Sender, Dialler, Protocol):
    """What the border needs of the endpoint: all that legs need."""


@dataclass(slots=True)
class _Entry:
    call: Call
    accepted: Accepted
    tenant: str
    direction: Direction
    rung: bool = field(default=False)


class Border:
    """All calls of a node."""

    def __init__(
        self,
        core: Core,
        media: MediaEngine,
        gatekeeper: Gatekeeper,
        bus: EventBus,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._core = core
        self._media = media
        self._gatekeeper = gatekeeper
        self._bus = bus
        self._loop = loop
        self._calls: dict[str, _Entry] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._draining = False
        self._idle: list[asyncio.Future[None]] = []

    # ---- INVITEs ---------------------------------------------------------------------------------------------------

    def on_invite(self, txn: ServerTransaction, request: Request, flow: Flow, trunk: Trunk) -> None:
        """Take an INVITE outside of any dialog."""
        objection = _objection(request)
        if objection is not None:
            self._refuse(txn, request, trunk, objection)
            return
        decision = self._gatekeeper.decide(request, trunk)
        if isinstance(decision, Refused):
            self._refuse(txn, request, trunk, decision)
        else:
            self._start(txn, request, flow, trunk, decision)

    def _refuse(self, txn: ServerTransaction, request: Request, trunk: Trunk, why: Refused) -> None:
        agent = trunk.settings.fqdn
        quoted = why.detail.replace("\\", "").replace('"', "'")
        headers = (*why.headers, ("Warning", f'399 {agent} "{quoted}"'))
        response = request.response(why.status, why.phrase, to_tag=self._core.new_tag(), headers=headers)
        self._core.respond(txn, response)
        self._bus.publish(
            CallEnded(
                call=request.call_id,
                direction=_direction(trunk),
                outcome="refused",
                reason=why.code,
                status=why.status,
                tenant=trunk.tenant,
                trunk_in=trunk.name,
                detail=why.detail,
                counted=False,
            )
        )

    def _start(
        self, txn: ServerTransaction, request: Request, flow: Flow, trunk: Trunk, accepted: Accepted
    ) -> None:
        call_id = secrets.token_hex(8)
        direction = _direction(trunk)
        record = Record(call_id, direction, trunk.name, accepted.trunk.name, self._loop.time())
        call = Call(record, self._media, self._loop.time, self._on_over, self._on_answered)
        entry = _Entry(call, accepted, trunk.tenant, direction)

        def emit(leg: Leg, event: LegEvent) -> None:
            call.post(leg, event)

        hint = flow if trunk.settings.reuse_inbound or flow.transport == "UDP" else None
        inbound = InboundLeg(
            "a",
            trunk,
            self._core,
            Path(self._core, trunk, hint),
            emit,
            txn=txn,
            request=request,
            contact=self._core.contact(trunk, flow, request.uri.user or ""),
        )
        outbound = OutboundLeg(
            "b",
            accepted.trunk,
            self._core,
            Path(self._core, accepted.trunk, None),
            emit,
            dialler=self._core,
            call=accepted.call,
            targets=accepted.targets,
        )
        call.join(inbound, outbound, flow.remote[0])
        self._calls[call_id] = entry
        self._bus.publish(
            CallStarted(
                call=call_id,
                direction=direction,
                tenant=trunk.tenant,
                trunk_in=trunk.name,
                caller=accepted.call.caller.user,
                dialled=str(request.uri),
            )
        )
        task = self._loop.create_task(call.run(), name=f"call {call_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # ---- what calls report -----------------------------------------------------------------------------------------

    def _on_answered(self, call: Call) -> None:
        entry = self._calls[call.id]
        setup_s = call.record.answered_after_s or 0.0
        if call.record.ringing_after_s is not None:
            self._bus.publish(CallRinging(call.id, entry.direction, call.record.ringing_after_s))
        self._bus.publish(CallAnswered(call.id, entry.direction, entry.accepted.trunk.name, setup_s))

    def _on_over(self, call: Call) -> None:
        entry = self._calls.pop(call.id)
        entry.accepted.release()
        call.a.release()
        call.b.release()
        record = call.record
        answered = record.answered_after_s
        self._bus.publish(
            CallEnded(
                call=call.id,
                direction=entry.direction,
                outcome=record.outcome,
                reason=record.reason,
                status=record.status,
                tenant=entry.tenant,
                trunk_in=record.trunk_from,
                trunk_out=record.trunk_to,
                setup_s=answered,
                duration_s=record.ended_after_s - answered if answered is not None else 0.0,
                ended_by=record.ended_by,
                detail=record.detail,
                media=_summary(record.stats) if record.stats is not None else None,
            )
        )
        if not self._calls:
            for waiter in self._idle:
                if not waiter.done():
                    waiter.set_result(None)
            self._idle.clear()

    # ---- the node's life -------------------------------------------------------------------------------------------

    @property
    def active_calls(self) -> int:
        """Calls in progress, ringing ones included."""
        return len(self._calls)

    @property
    def tasks(self) -> int:
        """Tasks of calls that are not done yet."""
        return len(self._tasks)

    def drain(self) -> None:
        """Take no more calls; those in progress go on."""
        self._draining = True

    def refuses_new_calls(self) -> int | None:
        """Return the Retry-After seconds to say while draining, or ``None``."""
        return 30 if self._draining else None

    async def idle(self) -> None:
        """Wait until no call is in progress."""
        if self._calls:
            waiter: asyncio.Future[None] = self._loop.create_future()
            self._idle.append(waiter)
            await waiter

    async def end_all(self, detail: str) -> None:
        """End every call now (shutdown); returns when their media is released."""
        for entry in tuple(self._calls.values()):
            entry.call.shut_down(detail)
        if self._tasks:
            await asyncio.wait(tuple(self._tasks), timeout=5.0)

    def media_lost(self, call_ids: Iterable[str] | None, detail: str) -> None:
        """End the calls whose media is gone; ``None`` means all."""
        lost = tuple(self._calls) if call_ids is None else tuple(call_ids)
        for call_id in lost:
            entry = self._calls.get(call_id)
            if entry is not None:
                entry.call.post(None, MediaLost(detail))


def _objection(request: Request) -> Refused | None:
    """Say what makes an INVITE unusable whoever it is for (RFC 3261 §8.2), or ``None``."""
    if session_timer.too_small(request):
        smallest = (("Min-SE", str(session_timer.MIN_SE_S)),)
        return Refused(422, "Session Interval Too Small", "malformed", "session interval too small", smallest)
    unknown = [option for option in request.headers.values("Require") if option.lower() != "timer"]
    if unknown:
        text = ", ".join(unknown)
        return Refused(
            420, "Bad Extension", "unsupported", f"not supported: {text}", (("Unsupported", text),)
        )
    try:
        session_description(request)
        if request.contact is None or request.contact.uri.scheme not in ("sip", "sips"):
            return Refused(400, "Missing Contact header", "malformed", "an INVITE needs a Contact")
    except ParseError as error:
        accept = (("Accept", "application/sdp"),) if error.status == 415 else ()
        return Refused(error.status, error.reason, "malformed", error.reason, accept)
    return None


def _direction(trunk_in: Trunk) -> Direction:
    return "to_talkdesk" if trunk_in.is_teams else "to_teams"


def _summary(stats: CallStats) -> MediaSummary:
    """Put an engine's statistics into the words of the bus: leg ``a`` is the caller, ``b`` the callee."""
    return MediaSummary(
        packets=stats.packets,
        lost_packets=stats.lost,
        audio_to_callee=stats.flowed("a", "b"),
        audio_to_caller=stats.flowed("b", "a"),
        jitter_ms=stats.jitter_ms,
        mos=stats.mos,
    )
