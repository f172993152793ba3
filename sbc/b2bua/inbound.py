"""The leg of whoever calls: an INVITE server transaction that becomes a dialog (RFC 3261 §13.3)."""

from __future__ import annotations

from sbc.b2bua import session_timer
from sbc.b2bua.bodies import session_description
from sbc.b2bua.core import UserAgentCore
from sbc.b2bua.events import Cause, Ended, EndedBy
from sbc.b2bua.leg import SDP, Emit, Headers, Leg
from sbc.b2bua.path import Path
from sbc.sip.dialog import Dialog
from sbc.sip.message import Request
from sbc.sip.transactions import ServerTransaction
from sbc.trunks.trunk import Trunk


class InboundLeg(Leg):
    """A caller. It is refused, or rings, hears early media and is answered; until then it may CANCEL."""

    def __init__(
        self,
        leg_id: str,
        trunk: Trunk,
        core: UserAgentCore,
        path: Path,
        emit: Emit,
        *,
        txn: ServerTransaction,
        request: Request,
        contact: str,
    ) -> None:
        super().__init__(leg_id, trunk, core, path, emit)
        self.invite = request
        self.contact = contact
        self.offer = session_description(request)
        """The caller's session description; ``None`` when it wants us to make the offer."""
        self.remote_sdp = self.offer
        self.local_tag = core.new_tag()
        self.dialog = Dialog.from_invite_received(request, self.local_tag)
        path.next_hop = self._next_hop
        self._txn: ServerTransaction | None = txn
        self._ringing_sent: tuple[int, bytes] | None = None
        txn.user = self
        core.attach(self, request.call_id, self.local_tag)

    @property
    def is_open(self) -> bool:
        """True while the INVITE has no final response."""
        return self._txn is not None

    @property
    def has_rung(self) -> bool:
        """True once the caller was told of ringing."""
        return self._ringing_sent is not None

    def ring(self, status: int = 180, sdp: bytes | None = None) -> None:
        """Tell the caller that the callee is alerted, with early media when ``sdp`` is given; repeats are not sent."""
        if self._txn is None or self._ringing_sent == (status, sdp or b""):
            return
        self._ringing_sent = (status, sdp or b"")
        headers: Headers = (("Contact", self.contact), *self.trunk.profile.capabilities)
        if sdp is not None:
            self.local_sdp = sdp
            headers = (*headers, *SDP)
        response = self.invite.response(status, to_tag=self.local_tag, headers=headers, body=sdp or b"")
        self.core.respond(self._txn, response)

    def answer(self, sdp: bytes) -> None:
        """Answer the call: 200 with ``sdp``, repeated until the ACK."""
        txn, self._txn = self._txn, None
        if txn is None:
            return
        agreed = session_timer.accept(self.invite, self.trunk.session_expires_s)
        headers = (("Contact", self.contact), *self.trunk.profile.capabilities, *agreed.headers, *SDP)
        response = self.invite.response(200, to_tag=self.local_tag, headers=headers, body=sdp)
        assert self.dialog is not None
        self.dialog.confirm()
        self.local_sdp = sdp
        self._unacked = txn
        self._answer_due_in_ack = self.offer is None
        self.arm_session(agreed.timer)
        self.core.respond_until_acked(txn, response)

    def reject(self, status: int, phrase: str | None = None, headers: Headers = ()) -> None:
        """Refuse the call; the leg is over."""
        txn, self._txn = self._txn, None
        if txn is None:
            return
        self.core.respond(txn, self.invite.response(status, phrase, to_tag=self.local_tag, headers=headers))
        self._close()

    def on_cancel(self, txn: ServerTransaction, cancel: Request) -> None:
        """Take the caller's CANCEL: 487 at once, and the call hears that the caller gave up (RFC 3261 §9.2)."""
        if self._txn is None or txn is not self._txn:
            super().on_cancel(txn, cancel)
            return
        self.reject(487)
        self._emit(self, Ended(Cause(EndedBy.CANCEL, cancel.headers.first("Reason"))))

    def finish(self, cause: Cause, *, emit_always: bool = False) -> None:
        """Close the leg; a caller that hangs up by BYE before the answer gets its 487 first (RFC 3261 §15.1.2)."""
        if self._txn is not None:
            self.reject(487)
            emit_always = True
        super().finish(cause, emit_always=emit_always)
