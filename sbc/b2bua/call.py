"""One call: two legs and the media between them.

An actor: the legs drop their events into its inbox and a single task takes them one at a time, so that an answer of the media
engine (which takes a millisecond) is never overtaken by the next event of the same call. Whatever cannot wait for that, the
legs have answered themselves already. The call knows no SIP message and no vendor; it knows who must hear what.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from events import CallDirection, CallOutcome
from sbc.b2bua import offers
from sbc.b2bua.core import TimerHandle
from sbc.b2bua.events import (
    Acknowledged,
    Answered,
    Cause,
    EarlyMedia,
    Ended,
    EndedBy,
    LegEvent,
    MediaLost,
    NoAnswer,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Refused,
    Ringing,
)
from sbc.b2bua.inbound import InboundLeg
from sbc.b2bua.leg import Leg
from sbc.b2bua.outbound import OutboundLeg
from sbc.media import CallStats, MediaEngine, MediaError
from sbc.sip.errors import SipError

log = logging.getLogger(__name__)

Side = Literal["caller", "callee", "node"]

MEDIA_LOST = 'Q.850;cause=41;text="Media engine lost"'
NO_ANSWER = 'Q.850;cause=19;text="No answer"'


class Phase(enum.Enum):
    """How far a call has come."""

    SETUP = "setup"
    ESTABLISHED = "established"
    OVER = "over"


@dataclass(slots=True)
class Record:
    """What is known of a call when it is over."""

    call_id: str
    direction: CallDirection
    trunk_from: str
    trunk_to: str
    started_at: float
    """Monotonic seconds."""
    ringing_after_s: float | None = None
    answered_after_s: float | None = None
    ended_after_s: float = 0.0
    outcome: CallOutcome = "failed"
    reason: str = ""
    """One word: why it ended or was refused."""
    status: int = 0
    """The final status that the caller heard."""
    detail: str = ""
    """A sentence for the admin."""
    ended_by: Side = "node"
    stats: CallStats | None = None


class Call:
    """A call from its INVITE to the last BYE."""

    def __init__(
        self,
        record: Record,
        media: MediaEngine,
        clock: Callable[[], float],
        over: Callable[[Call], None],
        answered: Callable[[Call], None],
    ) -> None:
        self.id = record.call_id
        self.record = record
        self.a: InboundLeg
        self.b: OutboundLeg
        self._media = media
        self._clock = clock
        self._over = over
        self._on_answered = answered
        self._inbox: asyncio.Queue[tuple[Leg | None, LegEvent]] = asyncio.Queue()
        self._phase = Phase.SETUP
        self._asked_by: Leg | None = None
        """The leg whose offer is being put to the other one."""
        self._silent_offer = False
        """The offer under way answers nobody: it only tells the engine and the far leg what an ACK brought."""
        self._has_media = False
        self._no_answer: TimerHandle | None = None

    def join(self, a: InboundLeg, b: OutboundLeg, caller_host: str) -> None:
        """Give the call its two legs and the caller's address (for callers that bring no offer), before `run`."""
        self.a, self.b = a, b
        self._caller_host = caller_host

    def post(self, leg: Leg | None, event: LegEvent) -> None:
        """Put an event into the inbox."""
        self._inbox.put_nowait((leg, event))

    async def run(self) -> None:
        """Live through the call; returns when both legs are over and the media is released."""
        try:
            try:
                await self._dial()
                while self._phase is not Phase.OVER:
                    leg, event = await self._inbox.get()
                    await self._take(leg, event)
            except MediaError as error:
                self._media_failed(error)
            except SipError as error:
                log.warning(
                    "call ended by unusable session description",
                    extra={"call": self.id, "detail": str(error)},
                )
                self._abandon(488, "Session description unusable", "bad_sdp")
            except Exception:
                log.exception("call ended by an internal error", extra={"call": self.id})
                self._abandon(500, "Server Internal Error", "internal_error")
        finally:
            await self._release()

    # ---- setting up ------------------------------------------------------------------------------------------------

    async def _dial(self) -> None:
        offer = self.a.offer
        if offer is None:
            offer = offers.for_offerless(self._caller_host)
        sdp = await self._offer(self.a, self.b, offer)
        if self._phase is Phase.OVER or not self.a.is_open:
            return  # shut down, or the caller gave up meanwhile: nobody's phone needs to ring
        self._no_answer = self.a.core.scheduler.call_later(
            self.b.trunk.no_answer_s, lambda: self.post(None, NoAnswer())
        )
        self.b.dial(sdp)

    async def _take(self, leg: Leg | None, event: LegEvent) -> None:
        match event:
            case Ringing(status=status):
                self._heard_ringing()
                self._ring(status, None)
            case EarlyMedia(sdp=sdp, status=status):
                await self._early_media(sdp, status)
            case Answered(sdp=sdp):
                await self._answered(sdp)
            case Refused():
                self._refused(event)
            case NoAnswer():
                self._not_answered()
            case Acknowledged(sdp=sdp):
                await self._acknowledged(leg, sdp)
            case OfferReceived(sdp=sdp):
                await self._offer_received(leg, sdp)
            case OfferAnswered(sdp=sdp):
                await self._offer_answered(leg, sdp)
            case OfferRefused(status=status, phrase=phrase):
                self._offer_refused(status, phrase)
            case Ended(cause=cause):
                self._ended(leg, cause)
            case MediaLost():
                log.warning("call lost its media", extra={"call": self.id, "detail": event.detail})
                self._has_media = False
                self._abandon(503, "Media engine lost", "media_lost", MEDIA_LOST)

    def _heard_ringing(self) -> None:
        if self.record.ringing_after_s is None:
            self.record.ringing_after_s = self._clock() - self.record.started_at

    def _ring(self, status: int, sdp: bytes | None) -> None:
        policy = self.a.trunk.settings.ring_policy
        if policy == "183-to-180":
            status, sdp = 180, None
        elif policy == "first" and self.a.has_rung:
            return
        self.a.ring(status, sdp)

    async def _early_media(self, sdp: bytes, status: int) -> None:
        if self._phase is not Phase.SETUP:
            return
        self._heard_ringing()
        if self.a.offer is None or self.a.trunk.settings.ring_policy == "183-to-180":
            self._ring(
                180, None
            )  # RFC 3261 §13.2.1: an unreliable 18x cannot carry the offer of an offerless INVITE
            return
        answer = await self._answer(self.a, self.b, sdp)
        self._ring(183 if status != 180 else 180, answer)

    async def _answered(self, sdp: bytes) -> None:
        answer = await self._answer(self.a, self.b, sdp)
        if not self.a.is_open:
            return  # the caller gave up meanwhile; its event is next in the inbox
        self._stop_clock()
        self._phase = Phase.ESTABLISHED
        self.record.answered_after_s = self._clock() - self.record.started_at
        self.record.outcome, self.record.status = "answered", 200
        self.a.answer(answer)
        self._on_answered(self)

    def _refused(self, event: Refused) -> None:
        refusal = self.b.trunk.profile.refusal(event.status, event.phrase, event.reason)
        headers = refusal.headers
        if event.retry_after_s is not None:
            headers = (*headers, ("Retry-After", str(event.retry_after_s)))
        self.record.outcome, self.record.reason, self.record.status = "refused", event.code, refusal.status
        self.record.detail = event.reason or event.phrase
        self.a.reject(refusal.status, refusal.phrase, headers)
        self._phase = Phase.OVER

    def _not_answered(self) -> None:
        if self._phase is Phase.SETUP:
            self.record.outcome, self.record.reason, self.record.status = "no_answer", "no_answer", 480
            self.b.cancel(NO_ANSWER)
            self.a.reject(480, "No answer", (("Reason", NO_ANSWER),))
            self._phase = Phase.OVER

    # ---- changing an established call ------------------------------------------------------------------------------

    async def _acknowledged(self, leg: Leg | None, sdp: bytes | None) -> None:
        """Take the answer that an ACK brought (the peer had asked us for the offer)."""
        if leg is None or self._phase is not Phase.ESTABLISHED:
            return
        if sdp is None:
            if leg is self.a and self.a.offer is None and leg.remote_sdp is None:
                self._abandon(500, "No answer in the ACK", "protocol")
            return
        other = self._other(leg)
        if leg is self.a and self.a.offer is None and other.remote_sdp is not None and not self._silent_offer:
            # First contact with the caller's real address: the engine learns it; the callee's side does not change.
            await self._offer(leg, other, sdp)
            await self._answer(leg, other, other.remote_sdp)
            self.a.offer = sdp
            return
        self._silent_offer = True
        await self._put_offer(leg, other, sdp)

    async def _offer_received(self, leg: Leg | None, sdp: bytes | None) -> None:
        if leg is None or self._phase is not Phase.ESTABLISHED:
            if leg is not None:
                leg.reject_offer(491)
            return
        if sdp is None:
            assert leg.local_sdp is not None
            leg.accept_offer(offers.again(leg.local_sdp))
        elif (
            leg.remote_sdp is not None and leg.local_sdp is not None and offers.unchanged(leg.remote_sdp, sdp)
        ):
            leg.accept_offer(leg.local_sdp)  # a refresh: nothing for the other side to hear of
        elif self._asked_by is not None:
            leg.reject_offer(491)
        else:
            try:
                await self._put_offer(leg, self._other(leg), sdp)
            except (MediaError, SipError) as error:
                log.warning("offer refused", extra={"call": self.id, "detail": str(error)})
                self._asked_by = None
                leg.reject_offer(488)

    async def _put_offer(self, leg: Leg, other: Leg, sdp: bytes) -> None:
        self._asked_by = leg
        changed = await self._offer(leg, other, sdp)
        other.send_offer(changed)

    async def _offer_answered(self, leg: Leg | None, sdp: bytes) -> None:
        asked, self._asked_by = self._asked_by, None
        silent, self._silent_offer = self._silent_offer, False
        if asked is None or leg is None:
            return
        try:
            answer = await self._answer(asked, leg, sdp)
        except SipError:
            asked.reject_offer(488)
            return
        if not silent:
            asked.accept_offer(answer)

    def _offer_refused(self, status: int, phrase: str) -> None:
        asked, self._asked_by = self._asked_by, None
        self._silent_offer = False
        if asked is not None:
            asked.reject_offer(
                status if status in (488, 491, 500, 606) else 488, phrase if status != 401 else None
            )

    # ---- ending ----------------------------------------------------------------------------------------------------

    def _ended(self, leg: Leg | None, cause: Cause) -> None:
        if leg is None or self._phase is Phase.OVER:
            return
        if self._phase is Phase.SETUP:
            self.record.outcome, self.record.reason, self.record.status = "cancelled", "caller_gave_up", 487
        else:
            self.record.ended_by = "caller" if leg is self.a else "callee"
            self.record.reason = "hangup" if cause.by is EndedBy.BYE else cause.by.value
        other = self._other(leg)
        if other is self.b:
            self.b.cancel(cause.reason)
        elif self.a.is_open:
            self.a.reject(480, "Callee side ended")
        else:
            other.bye(cause.reason)
        self._phase = Phase.OVER

    def shut_down(self, detail: str) -> None:
        """End both legs because the node stops; takes effect at once, the media is released by `run`."""
        if self._phase is not Phase.OVER:
            self.record.detail = detail
            self._abandon(503, "Shutting down", "shutdown", 'SIP;cause=503;text="Shutting down"')
            self.post(None, NoAnswer())  # wakes `run`, which sees that the call is over

    def _abandon(self, status: int, phrase: str, reason: str, header: str | None = None) -> None:
        """End both legs from our side."""
        if self._phase is not Phase.ESTABLISHED:
            self.record.outcome, self.record.status = "failed", status
        self.record.reason = reason
        headers = (("Reason", header),) if header else ()
        if status == 503:
            headers = (*headers, ("Retry-After", "5"))
        if self.a.is_open:
            self.a.reject(status, phrase, headers)
        else:
            self.a.bye(header)
        self.b.cancel(header)
        self._phase = Phase.OVER

    def _media_failed(self, error: MediaError) -> None:
        log.warning("media engine refused", extra={"call": self.id, "detail": str(error)})
        self._abandon(error.status, error.phrase, error.code, MEDIA_LOST if error.status == 503 else None)

    async def _release(self) -> None:
        self._stop_clock()
        if self._has_media:
            self._has_media = False
            try:
                self.record.stats = await self._media.delete(self.id, self.a.id)
            except MediaError as error:
                log.warning("media not released", extra={"call": self.id, "detail": str(error)})
        self.record.ended_after_s = self._clock() - self.record.started_at
        self._over(self)

    def _stop_clock(self) -> None:
        if self._no_answer is not None:
            self._no_answer.cancel()
            self._no_answer = None

    def _other(self, leg: Leg) -> Leg:
        return self.b if leg is self.a else self.a

    # ---- media -----------------------------------------------------------------------------------------------------

    async def _offer(self, leg: Leg, towards: Leg, sdp: bytes) -> bytes:
        """Put one leg's offer through the engine, shaped for the other leg's trunk."""
        self._has_media = True
        shaped = offers.shape(sdp, towards.trunk.offer_shape)
        return await self._media.offer(
            self.id,
            leg.id,
            shaped,
            towards=towards.trunk.media,
            received_on=leg.trunk.media,
            to_tag=towards.id,
        )

    async def _answer(self, asked: Leg, answering: Leg, sdp: bytes) -> bytes:
        """Put the answer of ``answering`` through the engine on its way to ``asked``."""
        return await self._media.answer(
            self.id, asked.id, answering.id, sdp, towards=asked.trunk.media, received_on=answering.trunk.media
        )
