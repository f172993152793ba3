"""A simulated agent's phone: calls into the border controller from the contact centre's side, and takes calls there."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from certs import CertificateStore
from sandbox.agent import Agent, Exchange, new_tag
from sandbox.rtp_phone import RtpPhone
from sandbox.tones import CALLER_HZ, Print
from sbc.sip.dialog import Dialog
from sbc.sip.message import Request, Response
from sbc.sip.transactions import ServerTransaction
from sbc.sip.uri import Uri
from sbc.transport import Flow, Listener, PeerRule, Remote

METHODS = (("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE"),)


@dataclass
class PhoneCall:
    """A call of the phone's."""

    dialog: Dialog | None
    media: RtpPhone
    flow: Flow
    txn: ServerTransaction | None = None
    answered: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)


class Phone(Agent):
    """A phone on one local address, over UDP, TCP or TLS."""

    def __init__(
        self,
        address: str,
        transport: str,
        *,
        port: int = 0,
        ca_file: Path | None = None,
        seed: str | None = None,
    ) -> None:
        """``port`` 0 takes any free one; ``ca_file`` is for TLS towards the border controller."""
        rule = PeerRule(
            "sbc", frozenset(["phone"]), (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
        )
        kind = "UDP" if transport == "UDP" else "TCP"
        super().__init__([Listener("phone", kind, address, port)], [rule], CertificateStore({}))
        self.address = address
        self._kind = transport
        self._ca_file = ca_file
        self.print = Print.choose(CALLER_HZ, seed)
        self.calls: dict[str, PhoneCall] = {}
        self.answers = True
        """Whether calls that come in are taken."""

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.transport.ports["phone"]

    @property
    def _sent_by(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"

    @property
    def _contact(self) -> str:
        tail = "" if self._kind == "UDP" else f";transport={self._kind.lower()}"
        return f"<sip:agent@{self._sent_by}{tail}>"

    async def reach(self, host: str, port: int, name: str) -> Flow:
        """Connect to the border controller; ``name`` is what its certificate must carry."""
        return await self.flow(Remote("sbc", host, port, self._kind, "phone", None, self._ca_file, (name,)))

    async def invite(
        self,
        uri: str,
        flow: Flow,
        *,
        number: str = "+14255550190",
        name: str = "Agent Example",
        offer: bool = True,
    ) -> tuple[PhoneCall, Exchange]:
        """Send an INVITE, with or without an offer; the exchange brings its responses, `accept` acknowledges a 200."""
        media = RtpPhone(self.address, self.print, secure=False, echo=False)
        await media.open()
        request = Request(
            "INVITE",
            Uri.parse(uri),
            (
                ("Max-Forwards", "70"),
                ("From", f'"{name}" <sip:{number}@{self._sent_by}>;tag={new_tag()}'),
                ("To", f"<{uri}>"),
                ("Call-ID", secrets.token_hex(12)),
                ("CSeq", "1 INVITE"),
                ("Contact", self._contact),
                *METHODS,
                ("Supported", "timer"),
                *((("Content-Type", "application/sdp"),) if offer else ()),
            ),
            media.describe() if offer else b"",
        )
        call = PhoneCall(None, media, flow)
        self.calls[request.call_id] = call

        def heard(response: Response) -> None:
            if 180 <= response.status < 200 and response.body:
                media.connect(response.body)

        return call, self.request(request, flow, self._sent_by, heard)

    def accept(
        self, call: PhoneCall, exchange: Exchange, final: Response, *, answer_in_ack: bool = False
    ) -> None:
        """Acknowledge the 200, with our answer when it brought the offer, and let the audio begin."""
        assert exchange.txn is not None
        call.dialog = Dialog.from_invite_sent(exchange.txn.request, final)
        call.media.connect(final.body)
        call.answered.set()
        headers = (("Content-Type", "application/sdp"),) if answer_in_ack else ()
        body = call.media.describe() if answer_in_ack else b""
        ack = call.dialog.ack(final.cseq.number, headers=headers, body=body)
        self.ack(ack, call.flow, self._sent_by)

    async def hang_up(self, call: PhoneCall) -> None:
        """Send BYE and wait for its answer."""
        if call.dialog is not None and not call.over.is_set():
            call.over.set()
            exchange = self.request(call.dialog.request("BYE"), call.flow, self._sent_by)
            try:
                await asyncio.wait_for(exchange.final, 5)
            except (ConnectionError, TimeoutError):
                return

    async def reinvite(self, call: PhoneCall, direction: str) -> Response:
        """Change the direction of the audio: hold (``sendonly``, ``inactive``) or resume (``sendrecv``)."""
        assert call.dialog is not None
        headers = (("Contact", self._contact), *METHODS, ("Content-Type", "application/sdp"))
        request = call.dialog.request("INVITE", headers=headers, body=call.media.describe(direction))
        exchange = self.request(request, call.flow, self._sent_by)
        final = await exchange.final
        if final.status < 300:
            call.media.connect(final.body)
            self.ack(call.dialog.ack(request.cseq.number), call.flow, self._sent_by)
        return final

    # ---- calls that come in ----------------------------------------------------------------------------------------

    def on_request(self, txn: ServerTransaction, request: Request, flow: Flow) -> None:
        """Take a request."""
        call = self.calls.get(request.call_id)
        if request.method == "BYE" and call is not None:
            self.respond(txn, request.response(200))
            call.over.set()
            call.media.close()
        elif request.method == "INVITE" and call is not None and call.dialog is not None:
            call.txn = txn
            call.media.connect(request.body)
            body = call.media.describe()
            headers = (("Contact", self._contact), ("Content-Type", "application/sdp"))
            self.respond(txn, request.response(200, headers=headers, body=body), until_acked=True)
        elif request.method == "INVITE" and self.answers:
            asyncio.ensure_future(self._answer(txn, request, flow)).add_done_callback(
                lambda task: task.exception()
            )
        elif request.method == "OPTIONS":
            self.respond(txn, request.response(200, to_tag=new_tag(), headers=METHODS))
        else:
            self.respond(txn, request.response(486 if request.method == "INVITE" else 405, to_tag=new_tag()))

    async def _answer(self, txn: ServerTransaction, request: Request, flow: Flow) -> None:
        media = RtpPhone(self.address, self.print, secure=False, echo=True)
        await media.open()
        tag = new_tag()
        call = PhoneCall(Dialog.from_invite_received(request, tag), media, flow, txn)
        self.calls[request.call_id] = call
        self.respond(txn, request.response(180, to_tag=tag, headers=(("Contact", self._contact),)))
        await asyncio.sleep(0.2)
        media.connect(request.body)
        headers = (("Contact", self._contact), *METHODS, ("Content-Type", "application/sdp"))
        self.respond(
            txn, request.response(200, to_tag=tag, headers=headers, body=media.describe()), until_acked=True
        )

    def on_ack(self, request: Request) -> None:
        """Take an ACK."""
        call = self.calls.get(request.call_id)
        if call is not None and call.txn is not None:
            self.acked(call.txn)
            call.answered.set()

    async def stop(self) -> None:
        """Close everything."""
        for call in self.calls.values():
            call.media.close()
        await super().stop()
