"""One leg of a call: a user agent on one dialog (RFC 3261 §12 to §15), and what it tells the call.

A leg answers for SIP with its peer at once (200 to BYE, 491 on glare, 481, ACKs, refreshes) and hands the rest to the call as
:mod:`sbc.b2bua.events`. It never sees the other leg. `InboundLeg` and `OutboundLeg` add how a dialog comes to be; here is
what both do once it exists: offers and answers, session timers, the end.
"""

from __future__ import annotations

from collections.abc import Callable

from sbc.b2bua import session_timer
from sbc.b2bua.bodies import described, session_description
from sbc.b2bua.core import TimerHandle, UserAgentCore
from sbc.b2bua.events import (
    Acknowledged,
    Cause,
    Ended,
    EndedBy,
    LegEvent,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
)
from sbc.b2bua.path import Path
from sbc.sip.dialog import Dialog
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.transactions import ServerTransaction
from sbc.sip.uri import Uri
from sbc.trunks.trunk import Trunk

SDP = (("Content-Type", "application/sdp"),)
Headers = tuple[tuple[str, str], ...]
Emit = Callable[["Leg", LegEvent], None]


class Exchange:
    """The user part of a client transaction: where its outcome goes."""

    __slots__ = ("on_failure", "on_response")

    def __init__(self, on_response: Callable[[Response], None], on_failure: Callable[[str], None]) -> None:
        self.on_response = on_response
        self.on_failure = on_failure


class Leg:
    """What both kinds of leg do inside their dialog."""

    def __init__(self, leg_id: str, trunk: Trunk, core: UserAgentCore, path: Path, emit: Emit) -> None:
        self.id = leg_id
        """Our own name for the leg, stable for its life; the media engine's tag."""
        self.trunk = trunk
        self.core = core
        self.path = path
        self.dialog: Dialog | None = None
        self.local_tag = ""
        self.contact = ""
        self.local_sdp: bytes | None = None
        """The session description that we last sent and the peer accepted, or will."""
        self.remote_sdp: bytes | None = None
        self.ended = False
        self._emit = emit
        self._offer_in: ServerTransaction | None = None
        self._offer_in_request: Request | None = None
        self._offer_out = False
        self._unacked: ServerTransaction | None = None
        self._answer_due_in_ack = False
        self._bye_when_acked: str | None = None
        self._session: session_timer.SessionTimer | None = None
        self._session_clock: TimerHandle | None = None

    # ---- what the call asks of a leg -------------------------------------------------------------------------------

    def bye(self, reason: str | None = None) -> None:
        """End an established leg; the peer's answer is awaited by nobody (RFC 3261 §15)."""
        if self.ended or self.dialog is None:
            return
        if self._unacked is not None:
            # §15: no BYE on a dialog that we answered until the ACK came (or will not come any more)
            self._bye_when_acked = reason or ""
            return
        self._send_bye(reason)

    def send_offer(self, sdp: bytes) -> None:
        """Propose a changed session; `OfferAnswered` or `OfferRefused` follows."""
        if self.ended or self.dialog is None:
            return
        if self._offer_out or self._offer_in is not None or self._unacked is not None:
            self._emit(self, OfferRefused(491, "Request Pending"))
            return
        self._offer_out = True
        self._reinvite(sdp, self._offer_answered, self._offer_failed)

    def accept_offer(self, sdp: bytes) -> None:
        """Answer the pending offer of the peer (or make the offer it asked for) with ``sdp``."""
        txn, request = self._offer_in, self._offer_in_request
        if txn is None or request is None or self.dialog is None:
            return  # the peer cancelled its offer or hung up meanwhile
        self._offer_in = self._offer_in_request = None
        agreed = session_timer.accept(request, self.trunk.session_expires_s)
        response = request.response(
            200,
            to_tag=self.local_tag,
            headers=(("Contact", self.contact), *self.trunk.profile.capabilities, *agreed.headers, *SDP),
            body=sdp,
        )
        offer = described(request)
        if offer is not None:
            self.remote_sdp = offer
        self.local_sdp = sdp
        self.arm_session(agreed.timer)
        if request.method == "INVITE":
            self._unacked = txn
            self._answer_due_in_ack = offer is None
            self.core.respond_until_acked(txn, response)
        else:
            self.core.respond(txn, response)

    def reject_offer(self, status: int, phrase: str | None = None) -> None:
        """Refuse the pending offer of the peer; the session stays as it was (RFC 3261 §14.2)."""
        txn, request = self._offer_in, self._offer_in_request
        if txn is None or request is None:
            return
        self._offer_in = self._offer_in_request = None
        self.core.respond(txn, request.response(status, phrase, to_tag=self.local_tag))

    @property
    def offer_is_pending(self) -> bool:
        """True while an offer of either side awaits its answer."""
        return self._offer_out or self._offer_in is not None or self._answer_due_in_ack

    # ---- requests inside the dialog --------------------------------------------------------------------------------

    def on_request(self, txn: ServerTransaction, request: Request) -> None:
        """Take an in-dialog request other than ACK."""
        dialog = self.dialog
        if dialog is None or self.ended or request.from_.tag != dialog.remote_tag:
            self.core.respond(txn, request.response(481))
            return
        if (status := dialog.check(request)) is not None:
            self.core.respond(txn, request.response(status, to_tag=self.local_tag))
            return
        match request.method:
            case "BYE":
                self.core.respond(txn, request.response(200, to_tag=self.local_tag))
                self.finish(Cause(EndedBy.BYE, request.headers.first("Reason")))
            case "INVITE" | "UPDATE":
                self._on_offer(txn, request)
            case "OPTIONS":
                headers = (("Contact", self.contact), *self.trunk.profile.capabilities)
                self.core.respond(txn, request.response(200, to_tag=self.local_tag, headers=headers))
            case "NOTIFY":
                self.core.respond(txn, request.response(200, to_tag=self.local_tag))
            case _:
                allow = self.trunk.profile.capabilities
                self.core.respond(txn, request.response(405, to_tag=self.local_tag, headers=allow))

    def on_ack(self, request: Request) -> None:
        """Take the ACK for a 2xx of ours."""
        txn = self._unacked
        if txn is None or request.cseq.number != txn.request.cseq.number:
            return  # an ACK repeated, or for an older 2xx
        self._unacked = None
        self.core.acked(txn)
        if self._bye_when_acked is not None:
            self._send_bye(self._bye_when_acked or None)
            return
        sdp = described(request)
        due, self._answer_due_in_ack = self._answer_due_in_ack, False
        if due and sdp is not None:
            self.remote_sdp = sdp
        self._emit(self, Acknowledged(sdp if due else None))

    def on_ack_timeout(self, txn: ServerTransaction) -> None:
        """Give the dialog up: a 2xx was repeated for 64·T1 and never acknowledged (RFC 3261 §13.3.1.4)."""
        if txn is not self._unacked:
            return
        self._unacked = None
        reason = 'SIP;cause=408;text="ACK missing"'
        if self._bye_when_acked is not None:
            self._send_bye(self._bye_when_acked or reason)
            return
        self._send_bye(reason)
        self.finish(Cause(EndedBy.NO_ACK, reason), emit_always=True)

    def on_cancel(self, txn: ServerTransaction, cancel: Request) -> None:
        """Take the CANCEL of a re-INVITE: 487 ends it, and nothing of the session changes."""
        if txn is self._offer_in and self._offer_in_request is not None:
            request, self._offer_in, self._offer_in_request = self._offer_in_request, None, None
            self.core.respond(txn, request.response(487, to_tag=self.local_tag))

    def _on_offer(self, txn: ServerTransaction, request: Request) -> None:
        try:
            sdp = session_description(request)
        except ParseError as error:
            accept = (("Accept", "application/sdp"),) if error.status == 415 else ()
            self.core.respond(
                txn, request.response(error.status, error.reason, to_tag=self.local_tag, headers=accept)
            )
            return
        refusal = self._offer_refusal(request)
        if refusal is not None:
            status, headers = refusal
            self.core.respond(txn, request.response(status, to_tag=self.local_tag, headers=headers))
            return
        assert self.dialog is not None
        self.dialog.refresh_target(request)
        if sdp is None and request.method == "UPDATE":
            agreed = session_timer.accept(request, self.trunk.session_expires_s)
            headers = (("Contact", self.contact), *self.trunk.profile.capabilities, *agreed.headers)
            self.core.respond(txn, request.response(200, to_tag=self.local_tag, headers=headers))
            self.arm_session(agreed.timer)
            return
        txn.user = self
        self._offer_in, self._offer_in_request = txn, request
        self._emit(self, OfferReceived(sdp))

    def _offer_refusal(self, request: Request) -> tuple[int, Headers] | None:
        if session_timer.too_small(request):
            return 422, (("Min-SE", str(session_timer.MIN_SE_S)),)
        if self._offer_out or self._answer_due_in_ack:
            return 491, ()  # RFC 3261 §14.2: our own offer is pending
        if self._offer_in is not None or (self._unacked is not None and request.method == "UPDATE"):
            return 500, (("Retry-After", "2"),)  # §14.2, RFC 3311 §5.2: theirs is, and is not answered yet
        return None

    # ---- our own requests ------------------------------------------------------------------------------------------

    def _reinvite(
        self, sdp: bytes, answered: Callable[[bytes], None], failed: Callable[[int, str], None]
    ) -> None:
        assert self.dialog is not None
        request = self.dialog.request(
            "INVITE",
            headers=(
                ("Contact", self.contact),
                *self.trunk.profile.capabilities,
                *self._session_headers(),
                *SDP,
            ),
            body=sdp,
        )
        cseq = request.cseq.number

        def on_response(response: Response) -> None:
            if response.status < 200:
                return
            if response.status >= 300:
                self._offer_out = False
                if response.status in (408, 481):
                    self._gone(EndedBy.TIMEOUT if response.status == 408 else EndedBy.PROTOCOL)
                else:
                    failed(response.status, response.reason)
                return
            self._send_ack(cseq)
            if not self._offer_out:
                return  # a repeated 2xx: the ACK was lost
            self._offer_out = False
            if self.dialog is not None:
                self.dialog.refresh_target(response)
            self.arm_session(session_timer.agreed(response))
            self.local_sdp = sdp
            answer = described(response)
            if answer is None:
                failed(488, "No answer in the 2xx")
                return
            self.remote_sdp = answer
            answered(answer)

        self.path.send(request, Exchange(on_response, self._reinvite_failed))

    def _reinvite_failed(self, kind: str) -> None:
        self._offer_out = False
        self._gone(EndedBy.TIMEOUT if kind == "timeout" else EndedBy.TRANSPORT)

    def _offer_answered(self, sdp: bytes) -> None:
        self._emit(self, OfferAnswered(sdp))

    def _offer_failed(self, status: int, phrase: str) -> None:
        self._emit(self, OfferRefused(status, phrase))

    def _next_hop(self) -> Uri:
        assert self.dialog is not None
        return self.dialog.next_hop

    def _send_ack(self, cseq: int) -> None:
        if self.dialog is not None:
            self.path.send_ack(self.dialog.ack(cseq))

    def _send_bye(self, reason: str | None) -> None:
        assert self.dialog is not None
        headers = (("Reason", reason),) if reason else ()
        request = self.dialog.request("BYE", headers=headers)
        self.path.send(request, Exchange(_ignore_response, _ignore_failure))
        self._close()

    def _gone(self, by: EndedBy) -> None:
        """End a dialog whose peer lost it (RFC 3261 §12.2.1.2: 408 and 481 terminate; a BYE is sent all the same)."""
        if not self.ended:
            self._send_bye(None)
            self.finish(Cause(by), emit_always=True)

    # ---- session timer ---------------------------------------------------------------------------------------------

    def arm_session(self, timer: session_timer.SessionTimer | None) -> None:
        """Start (or restart, on a refresh) the agreed session timer; ``None`` leaves the session without one."""
        self._session = timer
        if self._session_clock is not None:
            self._session_clock.cancel()
            self._session_clock = None
        if timer is not None and not self.ended:
            self._session_clock = self.core.scheduler.call_later(timer.due_s, self._session_due)

    def _session_headers(self) -> Headers:
        if self._session is None:
            return ()
        refresher = "uac" if self._session.we_refresh else "uas"
        return (("Session-Expires", f"{self._session.interval_s};refresher={refresher}"),)

    def _session_due(self) -> None:
        timer = self._session
        if self.ended or timer is None:
            return
        if not timer.we_refresh:
            self._send_bye('SIP;cause=408;text="Session expired"')
            self.finish(Cause(EndedBy.SESSION_EXPIRED), emit_always=True)
        elif self.offer_is_pending or self._unacked is not None or self.local_sdp is None:
            self._session_clock = self.core.scheduler.call_later(2.0, self._session_due)
        else:
            self._offer_out = True
            self._reinvite(self.local_sdp, _ignore_answer, self._refresh_refused)

    def _refresh_refused(self, _status: int, _phrase: str) -> None:
        """Try a refused refresh again soon: glare (491) is ordinary, and the session has half its life left."""
        if self._session is not None and not self.ended:
            self._session_clock = self.core.scheduler.call_later(4.0, self._session_due)

    # ---- the end ---------------------------------------------------------------------------------------------------

    def finish(self, cause: Cause, *, emit_always: bool = False) -> None:
        """Close the leg and tell the call why, once."""
        if self.ended and not emit_always:
            return
        self._close()
        self._emit(self, Ended(cause))

    def release(self) -> None:
        """Let go of the call: a lingering transaction may hold the leg for half a minute more (RFC 6026)."""
        self._emit = _tell_nobody
        self.local_sdp = self.remote_sdp = None

    def _close(self) -> None:
        if self._offer_in is not None and self._offer_in_request is not None:
            # RFC 3261 §15.1.2: requests still pending when the dialog ends are answered 487
            self.core.respond(self._offer_in, self._offer_in_request.response(487, to_tag=self.local_tag))
            self._offer_in = self._offer_in_request = None
        if self._unacked is not None:
            self.core.acked(self._unacked)
            self._unacked = None
        self.ended = True
        if self._session_clock is not None:
            self._session_clock.cancel()
            self._session_clock = None
        if self.dialog is not None:
            self.core.detach(self.dialog.call_id, self.local_tag)


def _tell_nobody(_leg: Leg, _event: LegEvent) -> None:
    """Stand in for a call that is over."""


def _ignore_response(_response: Response) -> None:
    """Take the answer to a BYE, which changes nothing any more."""


def _ignore_failure(_kind: str) -> None:
    """Take the failure of a BYE: the leg is over either way."""


def _ignore_answer(_sdp: bytes) -> None:
    """Take the answer to a refresh, which repeats what is agreed."""
