"""The leg towards whoever is called: INVITEs to one target after another until one takes the call (RFC 3261 §13.2).

A target that cannot be connected, does not answer at all or sheds load (503) is left for the next one within the same call;
every other final answer is the callee's and ends the attempt: trying again would ring the same person twice.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from config.trunks import Target
from sbc.b2bua import session_timer
from sbc.b2bua.bodies import described
from sbc.b2bua.core import TimerHandle, UserAgentCore
from sbc.b2bua.events import Answered, EarlyMedia, Refused, Ringing
from sbc.b2bua.leg import Emit, Exchange, Leg
from sbc.b2bua.path import Path, Receiver
from sbc.sip.auth import DigestClient
from sbc.sip.dialog import Dialog
from sbc.sip.message import Request, Response
from sbc.sip.transactions import ClientTransaction
from sbc.transport import Flow
from sbc.trunks.health import retry_after
from sbc.trunks.trunk import OutgoingCall, Trunk


class Dialler(Protocol):
    """What an outbound leg needs of the endpoint beyond its dialog."""

    def with_target(
        self,
        trunk: Trunk,
        target: Target,
        use: Callable[[Flow], None],
        failed: Callable[[str], None],
    ) -> None:
        """Find or dial a connection to a trunk's target."""

    def send_request(self, request: Request, flow: Flow, trunk: Trunk, user: Receiver) -> ClientTransaction:
        """Start a client transaction."""

    def contact(self, trunk: Trunk, flow: Flow, user: str) -> str:
        """Return our Contact value for a dialog on ``trunk``."""

    def new_call_id(self) -> str:
        """Return a fresh Call-ID."""

    def digest(self, trunk: Trunk) -> DigestClient | None:
        """Return the digest client with the trunk's credentials, if it has any."""


class State(enum.Enum):
    """Where the leg stands."""

    CALLING = "calling"
    RINGING = "ringing"
    ANSWERED = "answered"
    OVER = "over"


@dataclass(slots=True)
class Attempt:
    """One INVITE to one target."""

    target: Target
    request: Request
    txn: ClientTransaction | None = None
    answered_by: int = 0
    authorised: bool = False
    min_se_s: int = 0


class OutboundLeg(Leg):
    """A callee. `dial` starts it; `cancel` gives up; the first 2xx makes the dialog and every other fork is released."""

    def __init__(
        self,
        leg_id: str,
        trunk: Trunk,
        core: UserAgentCore,
        path: Path,
        emit: Emit,
        *,
        dialler: Dialler,
        call: OutgoingCall,
        targets: Sequence[Target],
    ) -> None:
        super().__init__(leg_id, trunk, core, path, emit)
        self._dialler = dialler
        self._call = call
        self._targets: Iterator[Target] = iter(targets)
        self._state = State.CALLING
        self._offer = b""
        self._attempt: Attempt | None = None
        self._reaction: TimerHandle | None = None
        self._last_failure = Refused(503, "No target reachable", code="trunk_down", retry_after_s=5)
        self._call_id = ""
        self._cancelled = False
        self._cancel_reason: str | None = None

    def dial(self, sdp: bytes) -> None:
        """Call the first target with the offer ``sdp``."""
        self._offer = sdp
        self._try_next()

    def cancel(self, reason: str | None = None) -> None:
        """Give up before the answer. Whatever still arrives (487, or a 200 that crossed it) is dealt with here."""
        if self._state in (State.ANSWERED, State.OVER):
            self.bye(reason)
            return
        self._cancelled, self._cancel_reason = True, reason
        self._stop_reaction()
        attempt = self._attempt
        if attempt is None or attempt.txn is None:
            self._over()
        else:
            self.core.cancel(attempt.txn, reason)

    # ---- targets ---------------------------------------------------------------------------------------------------

    def _try_next(self) -> None:
        target = next(self._targets, None)
        if target is None:
            self._over()
            self._emit(self, self._last_failure)
            return
        self._attempt = None
        self._dialler.with_target(
            self.trunk,
            target,
            lambda flow: self._invite(target, flow),
            lambda reason: self._unreachable(target, reason),
        )

    def _unreachable(self, target: Target, reason: str) -> None:
        if self._cancelled or self._state is State.OVER:
            self._over()
            return
        self.trunk.health.failed(target, reason)
        self._last_failure = Refused(503, "Trunk down", code="trunk_down", retry_after_s=5)
        self._try_next()

    def _invite(self, target: Target, flow: Flow) -> None:
        if self._cancelled or self._state is State.OVER:
            self._over()
            return
        shape = self.trunk.profile.outgoing_invite(self.trunk, self._call, target)
        if self.local_tag:
            self.core.detach(self._call_id, self.local_tag)
        self.local_tag = self.core.new_tag()
        self._call_id = self._dialler.new_call_id()
        self.contact = self._dialler.contact(self.trunk, flow, self._call.caller.user)
        request = Request(
            "INVITE",
            shape.request_uri,
            (
                ("Max-Forwards", str(self._call.max_forwards)),
                ("From", str(shape.from_.with_tag(self.local_tag))),
                ("To", str(shape.to)),
                ("Call-ID", self._call_id),
                ("CSeq", "1 INVITE"),
                ("Contact", self.contact),
                *self.trunk.profile.capabilities,
                *shape.headers,
                ("Content-Type", "application/sdp"),
            ),
            self._offer,
        )
        self._attempt = Attempt(target, request)
        self.path.hint = flow
        self.core.attach(self, self._call_id, self.local_tag)
        self._send_invite(self._attempt, flow)

    def _send_invite(self, attempt: Attempt, flow: Flow) -> None:
        exchange = Exchange(
            lambda response: self._on_response(attempt, response),
            lambda kind: self._on_failure(attempt, kind),
        )
        self._stop_reaction()
        self._reaction = self.core.scheduler.call_later(
            self.trunk.reaction_timeout_s, lambda: self._no_reaction(attempt)
        )
        attempt.txn = self._dialler.send_request(attempt.request, flow, self.trunk, exchange)

    def _resend_invite(self, attempt: Attempt, *headers: tuple[str, str]) -> bool:
        """Send the INVITE again in a new transaction with changed headers (RFC 3261 §22.2, RFC 4028 §7.3)."""
        flow = self.path.hint
        if flow is None or flow.closed:
            return False
        before = attempt.request
        request = Request(before.method, before.uri, before.headers.copy(), before.body)
        number = attempt.request.cseq.number + 1
        request.headers.replace("CSeq", f"{number} INVITE")
        request.headers.remove("Via")
        for name, value in headers:
            request.headers.replace(name, value)
        attempt.request = request
        self._send_invite(attempt, flow)
        return True

    def _no_reaction(self, attempt: Attempt) -> None:
        """Leave a target that has not even said 100: the next one may be alive."""
        self._reaction = None
        if (
            attempt is self._attempt
            and self._state is State.CALLING
            and not self._cancelled
            and attempt.txn is not None
        ):
            self.core.cancel(attempt.txn, None)
            self.trunk.health.failed(attempt.target, "no response to INVITE")
            self._last_failure = Refused(503, "Trunk does not respond", code="trunk_down", retry_after_s=5)
            self._try_next()

    def _stop_reaction(self) -> None:
        if self._reaction is not None:
            self._reaction.cancel()
            self._reaction = None

    # ---- what comes back -------------------------------------------------------------------------------------------

    def _on_failure(self, attempt: Attempt, kind: str) -> None:
        if attempt is not self._attempt:
            return
        self._stop_reaction()
        if self._cancelled or self._state is State.OVER:
            self._over()
        elif self._state is State.RINGING:
            self._over()
            code = "timeout" if kind == "timeout" else "trunk_down"
            self._emit(self, Refused(408 if kind == "timeout" else 503, "Callee side lost", code=code))
        else:
            self._unreachable(
                attempt.target, "no response to INVITE" if kind == "timeout" else "connection lost"
            )

    def _on_response(self, attempt: Attempt, response: Response) -> None:
        status = response.status
        if attempt is not self._attempt or self._state is State.OVER:
            self._late(attempt, response)
        elif status < 200:
            self._stop_reaction()
            self._on_provisional(attempt, response)
        elif status < 300:
            self._on_success(attempt, response)
        else:
            self._on_final(attempt, response)

    def _on_provisional(self, attempt: Attempt, response: Response) -> None:
        self.trunk.health.reacted(attempt.target)
        if response.status == 100 or self._cancelled:
            return
        if self._state is State.CALLING:
            self._state = State.RINGING
        sdp = described(response)
        if sdp is None:
            self._emit(self, Ringing(response.status))
        else:
            self._emit(self, EarlyMedia(sdp, response.status))

    def _on_success(self, attempt: Attempt, response: Response) -> None:
        self._stop_reaction()
        if self._state is State.ANSWERED:
            assert self.dialog is not None
            if response.to.tag == self.dialog.remote_tag:
                self._send_ack(attempt.answered_by)  # repeated 2xx: the ACK was lost
            else:
                self._late(attempt, response)  # a second fork answered (RFC 3261 §13.2.2.4)
            return
        sdp = described(response)
        if self._cancelled or sdp is None:
            self._late(attempt, response)
            self._over()
            if not self._cancelled:
                self._emit(self, Refused(488, "Answer without a session description", code="protocol"))
            return
        self._state = State.ANSWERED
        attempt.answered_by = response.cseq.number
        self.dialog = Dialog.from_invite_sent(attempt.request, response)
        self.path.next_hop = self._next_hop
        self.local_sdp, self.remote_sdp = self._offer, sdp
        self.trunk.health.reacted(attempt.target)
        self._send_ack(attempt.answered_by)
        self.arm_session(session_timer.agreed(response))
        self._emit(self, Answered(sdp))

    def _late(self, attempt: Attempt, response: Response) -> None:
        """Release a dialog nobody wants: acknowledge its 2xx and hang up (RFC 3261 §13.2.2.4)."""
        if not 200 <= response.status < 300:
            return
        dialog = Dialog.from_invite_sent(attempt.request, response)
        path = self.path.aside(lambda: dialog.next_hop)
        path.send_ack(dialog.ack(response.cseq.number))
        path.send(dialog.request("BYE"), Exchange(lambda _response: None, lambda _kind: None))

    def _on_final(self, attempt: Attempt, response: Response) -> None:
        self._stop_reaction()
        if self._cancelled:
            self._over()
            return
        if response.status in (401, 407) and not attempt.authorised and self._authorise(attempt, response):
            return
        if response.status == 422 and self._widen_session(attempt, response):
            return
        if response.status == 503:
            rest_s = retry_after(response)
            self.trunk.health.shed(attempt.target, rest_s)
            code = "trunk_shedding" if rest_s is not None else "trunk_down"
            self._last_failure = Refused(
                503, response.reason, response.headers.first("Reason"), code, rest_s or 5
            )
            self._try_next()
            return
        self._over()
        self._emit(self, Refused(response.status, response.reason, response.headers.first("Reason")))

    def _authorise(self, attempt: Attempt, response: Response) -> bool:
        client = self._dialler.digest(self.trunk)
        if client is None:
            return False
        header = client.answer(response, method="INVITE", uri=str(attempt.request.uri))
        attempt.authorised = True
        return header is not None and self._resend_invite(attempt, header)

    def _widen_session(self, attempt: Attempt, response: Response) -> bool:
        wanted = session_timer.min_se(response.headers.first("Min-SE"))
        if wanted <= attempt.min_se_s:
            return False  # 422 again for what it asked for: not our fault any more
        attempt.min_se_s = wanted
        return self._resend_invite(
            attempt,
            ("Session-Expires", str(max(wanted, self.trunk.session_expires_s))),
            ("Min-SE", str(wanted)),
        )

    # ---- the end ---------------------------------------------------------------------------------------------------

    def bye(self, reason: str | None = None) -> None:
        """End the leg in whatever state it is."""
        if self._state in (State.CALLING, State.RINGING):
            self.cancel(reason)
        else:
            super().bye(reason)

    def release(self) -> None:
        """Let go of the call and of the offer."""
        super().release()
        self._offer = b""

    def _over(self) -> None:
        self._state = State.OVER
        self._stop_reaction()
        self.ended = True
        if self.local_tag:
            self.core.detach(self._call_id, self.local_tag)
