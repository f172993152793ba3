"""The simulated Teams hub: Microsoft's SIP proxy, media processor and users behind mutual TLS.

It refuses what Microsoft's documents say Microsoft refuses (`strictness`), speaks as field traces show (capital header names,
unquoted display names, a Contact that is no listener, requests on connections of its own), and lets people behave
(`tenant`). Hub names are served on one address; every one is in the certificate.
"""

from __future__ import annotations

import asyncio
import base64
import ipaddress
import secrets
import uuid
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from certs import CertificateStore
from certs.store import Files
from sandbox.agent import Agent, Exchange, new_tag
from sandbox.rtp_phone import RtpPhone
from sandbox.strictness import No, check_contact, check_invite, check_reoffer
from sandbox.tenant import Person, by_number
from sandbox.tones import CALLEE_HZ, Print
from sbc.sip.dialog import Dialog
from sbc.sip.headers import Headers
from sbc.sip.message import Request, Response
from sbc.sip.sdp import SessionDescription
from sbc.sip.transactions import ServerTransaction
from sbc.sip.uri import Uri
from sbc.transport import Flow, Listener, PeerRule, Remote
from sbc.transport.stream import StreamFlow

BUILD = "Microsoft.PSTNHub.SIPProxy v.2026.11.1.1 i.SANDBOX.1"
ACK_WAIT_S = 4.0
"""After this long without ACK Teams hangs up (408 / 1106)."""


@dataclass
class HubCall:
    """A call at the hub."""

    request: Request
    person: Person | None
    txn: ServerTransaction | None
    phone: RtpPhone
    tag: str
    contact: str
    dialog: Dialog | None = None
    cancelled: bool = False
    acked: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    ended_by: str = ""
    remote_port: int = 0
    remote_mux: bool = False
    held: bool = False


class Hub(Agent):
    """A hub."""

    def __init__(
        self,
        *,
        address: str,
        port: int,
        names: Sequence[str],
        chain: Path,
        key: Path,
        ca_file: Path,
        sbc_fqdn: str,
        sbc: tuple[str, int],
    ) -> None:
        """``names`` are the hub's host names; ``sbc`` is the border controller's address and TLS port."""
        certificates = CertificateStore({"hub": Files(chain, key)})
        certificates.load()
        rule = PeerRule(
            trunk="sbc",
            listeners=frozenset(["tls"]),
            sources=(ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")),
            require_certificate=True,
            ca_file=ca_file,
        )
        super().__init__(
            [Listener("tls", "TLS", address, port, "hub")], [rule], certificates, {sbc_fqdn: (sbc[0],)}
        )
        self.address = address
        self.names = tuple(names)
        self.sbc_fqdn = sbc_fqdn
        self._sbc_remote = Remote("sbc", sbc_fqdn, sbc[1], "TLS", "tls", "hub", ca_file)
        self.calls: dict[tuple[str, str], HubCall] = {}
        self.active = False
        """The border controller answered our OPTIONS: Teams shows it as active."""
        self.refused: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self.transport.ports["tls"]

    async def stop(self) -> None:
        """Hang up nothing, close everything."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for call in self.calls.values():
            call.phone.close()
        await super().stop()

    # ---- requests --------------------------------------------------------------------------------------------------

    def on_request(self, txn: ServerTransaction, request: Request, flow: Flow) -> None:
        """Take a request."""
        tag = request.to.tag
        if tag is not None:
            self._in_dialog(txn, request, self.calls.get((request.call_id, tag)))
            return
        engine = flow.engine if isinstance(flow, StreamFlow) else None
        names = engine.facts.names if engine is not None and engine.facts is not None else ()
        fault = check_contact(request, names, (self.sbc_fqdn,))
        if fault is None and request.method == "INVITE":
            fault = check_invite(request)
        if fault is not None:
            self._refuse(txn, request, fault)
        elif request.method == "OPTIONS":
            self._say(txn, request.response(200, to_tag=new_tag(), headers=self._abilities()))
            self._spawn(self._ask_options())
        elif request.method == "INVITE":
            self._spawn(self._take_call(txn, request))
        else:
            self._say(txn, request.response(405, to_tag=new_tag(), headers=self._abilities()))

    def _in_dialog(self, txn: ServerTransaction, request: Request, call: HubCall | None) -> None:
        if call is None:
            self._say(txn, request.response(481))
        elif request.method == "BYE":
            self._say(txn, request.response(200))
            self._end(call, "sbc")
        elif request.method == "INVITE":
            self._reoffer(txn, request, call)
        else:
            self._say(txn, request.response(405, headers=self._abilities()))

    def _reoffer(self, txn: ServerTransaction, request: Request, call: HubCall) -> None:
        fault = check_reoffer(request, call.remote_port, call.remote_mux)
        if fault is not None:
            self._refuse(txn, request, fault)
            return
        call.phone.connect(request.body)
        call.held = call.phone.muted
        body = call.phone.describe("inactive" if call.held else "sendrecv", origin="127.0.0.1")
        call.txn = txn
        self._say(txn, request.response(200, headers=self._dialog_headers(call), body=body), until_acked=True)

    def on_ack(self, request: Request) -> None:
        """Take an ACK."""
        call = self.calls.get((request.call_id, request.to.tag or ""))
        if call is not None:
            if call.txn is not None:
                self.acked(call.txn)
            call.acked.set()

    def on_cancel(self, txn: ServerTransaction) -> None:
        """Take a CANCEL."""
        for call in self.calls.values():
            if call.txn is txn and not call.acked.is_set():
                call.cancelled = True
                call.over.set()
                self._refuse(
                    txn, call.request, No(487, "Request Terminated", 16, "caller cancelled"), call.tag
                )

    def _refuse(self, txn: ServerTransaction, request: Request, why: No, tag: str | None = None) -> None:
        self.refused.append(f"{why.status} {why.text}")
        reason = f'Q.850;cause={why.cause};text="{uuid.uuid4()};{why.text}"'
        headers = (*why.headers, ("Reason", reason))
        self._say(txn, request.response(why.status, why.phrase, to_tag=tag or new_tag(), headers=headers))

    # ---- calls to people -------------------------------------------------------------------------------------------

    async def _take_call(self, txn: ServerTransaction, request: Request) -> None:
        number = (request.uri.user or "").partition(";")[0]
        person = by_number(number)
        if person is None:
            self._refuse(txn, request, No(404, "Not Found", 1, "511404;no user has this number"))
            return
        if person.behaviour in ("busy", "declines"):
            await asyncio.sleep(0.1)
            busy = No(486, "Busy Here", 34, "user is busy"), No(603, "Decline", 21, "user declined")
            self._refuse(txn, request, busy[person.behaviour == "declines"])
            return
        phone = RtpPhone(self.address, Print.choose(CALLEE_HZ, person.person_id), secure=True, echo=True)
        call = HubCall(request, person, txn, phone, new_tag(), self._contact(request))
        self.calls[request.call_id, call.tag] = call  # before anything is awaited: a CANCEL may be next
        await phone.open()
        offered = SessionDescription.parse(request.body).audio
        assert offered is not None
        call.remote_port, call.remote_mux = offered.port, offered.rtcp_mux
        try:
            await self._behave(call, person)
            await call.over.wait()
        finally:
            phone.close()
            if call.cancelled or not call.acked.is_set():
                self.calls.pop((request.call_id, call.tag), None)

    async def _behave(self, call: HubCall, person: Person) -> None:
        request = call.request
        for device in range(3 if person.behaviour == "forks" else 1):
            # each ringing endpoint is an early dialog of its own
            tag = call.tag if device == 0 else new_tag()
            self._say_call(call, request.response(180, to_tag=tag, headers=self._dialog_headers(call)))
        if person.behaviour == "rings":
            return
        if person.behaviour == "early_media":
            call.phone.connect(request.body)
            body = call.phone.describe(origin="127.0.0.1")
            self._say_call(
                call, request.response(183, to_tag=call.tag, headers=self._dialog_headers(call), body=body)
            )
        await asyncio.sleep({"slow": 4.0, "early_media": 1.5}.get(person.behaviour, 0.4))
        if call.cancelled:
            return
        call.phone.connect(request.body)
        body = call.phone.describe(origin="127.0.0.1")
        headers = (
            *self._dialog_headers(call),
            ("Session-Expires", "3600;refresher=uac"),
            ("Supported", "timer"),
        )
        call.dialog = Dialog.from_invite_received(request, call.tag)
        call.dialog.confirm()
        self._say_call(
            call, request.response(200, to_tag=call.tag, headers=headers, body=body), until_acked=True
        )
        try:
            await asyncio.wait_for(call.acked.wait(), ACK_WAIT_S)
        except TimeoutError:
            await self.hang_up(call, 'Q.850;cause=102;text="1106;no ACK"')
            return
        if person.behaviour == "hangs_up":
            await asyncio.sleep(2.0)
            await self.hang_up(call)

    def _say_call(self, call: HubCall, response: Response, *, until_acked: bool = False) -> None:
        if call.txn is not None and not call.cancelled:
            self._say(call.txn, response, until_acked=until_acked)

    async def hang_up(self, call: HubCall, reason: str | None = None) -> None:
        """Send BYE, on a connection of our own."""
        if call.dialog is None or call.over.is_set():
            return
        headers = (("REASON", reason),) if reason else ()
        self._end(call, "teams")
        await self._in_dialog_request(call.dialog.request("BYE", headers=headers))

    def _end(self, call: HubCall, who: str) -> None:
        call.ended_by = call.ended_by or who
        call.over.set()
        call.phone.close()
        self.calls.pop((call.request.call_id, call.tag), None)

    # ---- requests of ours ------------------------------------------------------------------------------------------

    async def call_out(
        self, number: str, *, caller: str = "+14255550101", name: str = "Ada Example"
    ) -> tuple[HubCall, Response]:
        """Call a number through the border controller; returns the call and the final response."""
        phone = RtpPhone(self.address, Print.choose(CALLEE_HZ), secure=True, echo=False)
        await phone.open()
        hub = self.names[0]
        call_id = secrets.token_hex(12)
        tag = new_tag()
        request = Request(
            "INVITE",
            Uri.parse(f"sip:{number}@{self.sbc_fqdn}:{self._sbc_remote.port};user=phone;transport=tls"),
            (
                ("FROM", f"{name}<sip:{caller}@{hub}:{self.port};user=phone>;tag={tag}"),
                ("TO", f"<sip:{number}@{self.sbc_fqdn}:{self._sbc_remote.port};user=phone>"),
                ("CSEQ", "1 INVITE"),
                ("CALL-ID", call_id),
                ("MAX-FORWARDS", "70"),
                ("RECORD-ROUTE", self._record_route()),
                ("CONTACT", self._own_contact(call_id)),
                *self._abilities(),
                ("MIN-SE", "300"),
                ("SESSION-EXPIRES", "3600"),
                ("SUPPORTED", "timer"),
                ("CONTENT-TYPE", "application/sdp"),
            ),
            phone.describe(origin="127.0.0.1"),
        )
        call = HubCall(request, None, None, phone, tag, self._own_contact(call_id))
        exchange = await self._send(request)
        final = await exchange.final
        if final.status < 300:
            call.dialog = Dialog.from_invite_sent(request, final)
            phone.connect(final.body)
            self.calls[call_id, tag] = call
            call.acked.set()
            flow = await self.flow(self._sbc_remote)
            self.ack(call.dialog.ack(1), flow, self._sent_by())
        else:
            phone.close()
        return call, final

    async def _in_dialog_request(self, request: Request) -> Response | None:
        exchange = await self._send(request)
        try:
            return await exchange.final
        except ConnectionError:
            return None

    async def _send(self, request: Request) -> Exchange:
        flow = await self.flow(self._sbc_remote)
        return self.request(request, flow, self._sent_by())

    async def _ask_options(self) -> None:
        """Ask back, on our own connection: only its 200 makes the border controller active."""
        hub = self.names[0]
        request = Request(
            "OPTIONS",
            Uri.parse(f"sip:{self.sbc_fqdn}:{self._sbc_remote.port};transport=tls"),
            (
                ("FROM", f"<sip:{hub}:{self.port}>;tag={new_tag()}"),
                ("TO", f"<sip:{self.sbc_fqdn}>"),
                ("CSEQ", "1 OPTIONS"),
                ("CALL-ID", secrets.token_hex(12)),
                ("MAX-FORWARDS", "70"),
                ("CONTACT", f"<sip:{hub}:{self.port};transport=tls>"),
            ),
        )
        exchange = await self._send(request)
        try:
            answer = await exchange.final
        except ConnectionError:
            self.active = False
            return
        allow = ",".join(answer.headers.lines("Allow")).upper()
        contact = answer.contact
        self.active = (
            answer.status == 200
            and "INVITE" in allow
            and contact is not None
            and contact.uri.host == self.sbc_fqdn
        )

    # ---- words -----------------------------------------------------------------------------------------------------

    def _say(self, txn: ServerTransaction, response: Response, *, until_acked: bool = False) -> None:
        """Respond as Teams does, with header names in capitals."""
        response.headers = Headers((name.upper(), text) for name, text in response.headers)
        if response.body:
            response.headers.add("CONTENT-TYPE", "application/sdp")
        self.respond(txn, response, until_acked=until_acked)

    def _abilities(self) -> tuple[tuple[str, str], ...]:
        return (("ALLOW", "INVITE,ACK,OPTIONS,CANCEL,BYE,NOTIFY"), ("SERVER", BUILD))

    def _contact(self, request: Request) -> str:
        return self._own_contact(request.call_id)

    def _own_contact(self, call_id: str) -> str:
        """Return a Contact as Teams writes it: no user, port 443, not a listener, parameters to repeat unchanged."""
        token = base64.b16encode(call_id.encode()[:8]).decode().lower()
        instance = uuid.uuid5(uuid.NAMESPACE_DNS, call_id)
        return f"<sip:api-du-a-sandbox.pstnhub.contoso.example:443;x-i={instance};x-c={token}/d/8/{token}>"

    def _record_route(self) -> str:
        return f"<sip:{self.names[0]}:{self.port};transport=tls;lr>"

    def _dialog_headers(self, call: HubCall) -> tuple[tuple[str, str], ...]:
        return (("CONTACT", call.contact), ("RECORD-ROUTE", self._record_route()), *self._abilities())

    def _sent_by(self) -> str:
        return f"{self.address}:{self.port}"

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
