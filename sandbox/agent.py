"""A small SIP user agent for the simulation: the transaction core on sockets, with futures instead of legs.

It speaks through the same protocol core as the service (whose second opinions are SIPp, Kamailio and `sipmessage`), but shares
none of its call control.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

from certs import CertificateStore
from sbc.sip.effects import (
    AckReceived,
    AckTimeout,
    CancelReceived,
    Effect,
    RequestReceived,
    ResponseReceived,
    Send,
    TransactionFailed,
)
from sbc.sip.errors import ParseError
from sbc.sip.message import Request, Response
from sbc.sip.timers import Timers
from sbc.sip.transactions import ClientTransaction, ServerTransaction, TransactionLayer
from sbc.transport import Callbacks, Flow, Limits, Listener, PeerRule, Remote, Resolver, SipTransport


class Exchange:
    """A request of ours and what came back."""

    def __init__(self, heard: Callable[[Response], None] | None = None) -> None:
        self.final: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self.responses: list[Response] = []
        self.txn: ClientTransaction | None = None
        self._heard = heard

    def on_response(self, response: Response) -> None:
        """Take a response."""
        self.responses.append(response)
        if self._heard is not None:
            self._heard(response)
        if response.status >= 200 and not self.final.done():
            self.final.set_result(response)

    def on_failure(self, kind: str) -> None:
        """Take the lack of a final response."""
        if not self.final.done():
            self.final.set_exception(ConnectionError(f"no final response ({kind})"))
            self.final.exception()


class Agent:
    """Sockets, transactions and hooks."""

    def __init__(
        self,
        listeners: Sequence[Listener],
        rules: Sequence[PeerRule],
        certificates: CertificateStore,
        static_hosts: dict[str, tuple[str, ...]] | None = None,
        *,
        timers: Timers | None = None,
    ) -> None:
        loop = asyncio.get_running_loop()
        self._loop = loop
        self.layer = TransactionLayer(timers or Timers(), branch=new_branch, tag=new_tag)
        self.transport = SipTransport(
            listeners,
            rules,
            certificates,
            Resolver(loop.time, static=static_hosts, hosts_file=Path("/etc/hosts")),
            Limits(),
            Callbacks(self._message, self._malformed, self._lost, self._rejected),
        )
        self._timer: asyncio.TimerHandle | None = None
        self.wire: list[tuple[float, str, Request | Response]] = []
        """What was sent (``>``) and received (``<``), with the time."""
        self.rejections: list[str] = []

    async def start(self) -> None:
        """Open the sockets."""
        await self.transport.start()

    async def stop(self) -> None:
        """Close the sockets."""
        if self._timer is not None:
            self._timer.cancel()
        await self.transport.stop()

    # ---- hooks -----------------------------------------------------------------------------------------------------

    def on_request(self, txn: ServerTransaction, request: Request, flow: Flow) -> None:
        """Take a new request."""
        self.respond(txn, request.response(405, to_tag=new_tag()))

    def on_ack(self, request: Request) -> None:
        """Take an ACK for a 2xx."""

    def on_cancel(self, txn: ServerTransaction) -> None:
        """Take the CANCEL of an INVITE."""

    def on_ack_timeout(self, txn: ServerTransaction) -> None:
        """Take the lack of an ACK."""

    # ---- what subclasses use ---------------------------------------------------------------------------------------

    def respond(self, txn: ServerTransaction, response: Response, *, until_acked: bool = False) -> None:
        """Send a response."""
        layer, now = self.layer, self._loop.time()
        self._run(
            layer.respond_until_acked(txn, response, now)
            if until_acked
            else layer.respond(txn, response, now)
        )

    def acked(self, txn: ServerTransaction) -> None:
        """Stop repeating a 2xx."""
        self.layer.ack_received(txn)

    def request(
        self, request: Request, flow: Flow, sent_by: str, heard: Callable[[Response], None] | None = None
    ) -> Exchange:
        """Send a request."""
        exchange = Exchange(heard)
        txn, effects = self.layer.send_request(
            request, flow, self._loop.time(), sent_by=sent_by, user=exchange
        )
        exchange.txn = txn
        self._run(effects)
        return exchange

    def cancel(self, exchange: Exchange) -> None:
        """CANCEL an INVITE."""
        if exchange.txn is not None:
            self._run(self.layer.cancel(exchange.txn, self._loop.time()))

    def ack(self, ack: Request, flow: Flow, sent_by: str) -> None:
        """Send the ACK for a 2xx."""
        ack.headers.prepend("Via", f"SIP/2.0/{flow.transport} {sent_by};branch={new_branch()}")
        self._note(">", ack)
        flow.send(ack.encode())

    async def flow(self, remote: Remote) -> Flow:
        """Find or dial a connection."""
        return self.transport.ready(remote) or await self.transport.connect(remote)

    # ---- wiring ----------------------------------------------------------------------------------------------------

    def _note(self, direction: str, message: Request | Response) -> None:
        if len(self.wire) < 2000:
            self.wire.append((self._loop.time(), direction, message))

    def _message(self, message: Request | Response, flow: Flow) -> None:
        self._note("<", message)
        self._run(self.layer.receive(message, flow, self._loop.time()))

    def _malformed(self, error: ParseError, flow: Flow) -> None:
        if error.request is not None and error.request.method != "ACK":
            flow.send(error.request.response(error.status, error.reason, to_tag=new_tag()).encode())

    def _lost(self, flow: Flow, _reason: str) -> None:
        self._run(self.layer.flow_failed(flow, self._loop.time()))

    def _rejected(self, _remote: tuple[str, int], _word: str, why: str) -> None:
        self.rejections.append(why)

    def _run(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            match effect:
                case Send():
                    self._note(">", effect.message)
                    cast("Flow", effect.flow).send(effect.data)
                case ResponseReceived():
                    effect.txn.user.on_response(effect.response)
                case TransactionFailed():
                    effect.txn.user.on_failure(effect.kind)
                case RequestReceived():
                    self.on_request(effect.txn, effect.request, cast("Flow", effect.flow))
                case AckReceived():
                    self.on_ack(effect.request)
                case CancelReceived():
                    self.on_cancel(effect.txn)
                case AckTimeout():
                    self.on_ack_timeout(effect.txn)
        self._arm()

    def _arm(self) -> None:
        due = self.layer.next_timer()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self._loop.call_at(due, self._tick)

    def _tick(self) -> None:
        self._timer = None
        self._run(self.layer.handle_timers(self._loop.time()))


def new_branch() -> str:
    """Return a fresh branch."""
    return "z9hG4bK" + secrets.token_hex(8)


def new_tag() -> str:
    """Return a fresh tag."""
    return secrets.token_hex(6)
