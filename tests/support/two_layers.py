"""Two transaction layers joined by a bad network, in virtual time."""

import heapq
import itertools
import random
from dataclasses import dataclass, field

from sbc.sip.effects import (
    AckReceived,
    AckTimeout,
    CancelReceived,
    RequestReceived,
    ResponseReceived,
    Send,
    TransactionFailed,
)
from sbc.sip.message import Request
from sbc.sip.parser import parse_message
from sbc.sip.timers import Timers
from sbc.sip.transactions import TransactionLayer
from sbc.sip.uri import Uri


@dataclass(frozen=True)
class Wire:
    """A flow without a socket."""

    transport: str = "UDP"

    @property
    def reliable(self) -> bool:
        return self.transport != "UDP"


@dataclass
class Side:
    """One layer and what its user saw."""

    layer: TransactionLayer
    wire: Wire
    requests: list = field(default_factory=list)
    finals: list = field(default_factory=list)
    provisionals: list = field(default_factory=list)
    failures: list = field(default_factory=list)
    acks: list = field(default_factory=list)
    cancels: list = field(default_factory=list)
    ack_timeouts: list = field(default_factory=list)


class World:
    """A caller, a callee and what is between them."""

    def __init__(
        self,
        seed: int = 0,
        *,
        transport: str = "UDP",
        loss: float = 0.0,
        duplication: float = 0.0,
        delay_s: float = 0.01,
    ) -> None:
        self.rng = random.Random(seed)
        self.loss, self.duplication, self.delay_s = loss, duplication, delay_s
        self.now = 0.0
        count = itertools.count(1)
        self.sides = [
            Side(
                TransactionLayer(
                    Timers(),
                    branch=lambda n=n: f"z9hG4bK{n}x{next(count)}",
                    tag=lambda n=n: f"t{n}x{next(count)}",
                ),
                Wire(transport),
            )
            for n in (0, 1)
        ]
        self._air: list[tuple[float, int, int, bytes]] = []
        self._order = itertools.count()
        self.respond = lambda world, effect: None
        self.wire_log: list[tuple[int, str]] = []

    def invite(self, method: str = "INVITE", number: int = 1) -> Request:
        """Build a request of the caller's."""
        return Request(
            method,
            Uri.parse("sip:callee@192.0.2.2"),
            (
                ("Max-Forwards", "70"),
                ("From", "<sip:caller@192.0.2.1>;tag=c"),
                ("To", "<sip:callee@192.0.2.2>"),
                ("Call-ID", f"call{number}"),
                ("CSeq", f"{number} {method}"),
                ("Contact", "<sip:caller@192.0.2.1>"),
            ),
        )

    def send(self, request: Request, side: int = 0):
        """Start a client transaction."""
        mine = self.sides[side]
        txn, effects = mine.layer.send_request(
            request, mine.wire, self.now, sent_by=f"192.0.2.{side + 1}", user="me"
        )
        self.run_effects(side, effects)
        return txn

    def run_effects(self, side: int, effects) -> None:
        mine = self.sides[side]
        for effect in effects:
            match effect:
                case Send():
                    self.wire_log.append((side, effect.message.start_line))
                    self._put(1 - side, effect.data)
                case RequestReceived():
                    mine.requests.append(effect.request)
                    self.respond(self, effect)
                case ResponseReceived() if effect.txn.user != "me":
                    pass  # the answer to a CANCEL
                case ResponseReceived():
                    (mine.finals if effect.response.status >= 200 else mine.provisionals).append(
                        effect.response
                    )
                case TransactionFailed() if effect.txn.user == "me":
                    mine.failures.append(effect.kind)
                case AckReceived():
                    mine.acks.append(effect.request)
                case CancelReceived():
                    mine.cancels.append(effect)
                    self.run_effects(
                        side,
                        mine.layer.respond(
                            effect.txn, effect.txn.request.response(487, to_tag="b"), self.now
                        ),
                    )
                case AckTimeout():
                    mine.ack_timeouts.append(effect.txn)

    def _put(self, side: int, data: bytes) -> None:
        reliable = self.sides[side].wire.reliable
        copies = (
            1
            if reliable
            else 0
            if self.rng.random() < self.loss
            else 2
            if self.rng.random() < self.duplication
            else 1
        )
        for _ in range(copies):
            delay = (
                self.delay_s
                if reliable
                else self.delay_s * self.rng.uniform(0.2, 30 if self.rng.random() < 0.2 else 3)
            )
            heapq.heappush(self._air, (self.now + delay, next(self._order), side, data))

    def run(self, until: float) -> None:
        """Let time pass."""
        while True:
            timers = [side.layer.next_timer() for side in self.sides]
            due = [when for when in timers if when is not None]
            if self._air:
                due.append(self._air[0][0])
            if not due or min(due) > until:
                self.now = until
                return
            self.now = max(self.now, min(due))
            while self._air and self._air[0][0] <= self.now:
                _, _, side, data = heapq.heappop(self._air)
                self.run_effects(
                    side, self.sides[side].layer.receive(parse_message(data), self.sides[side].wire, self.now)
                )
            for number, side in enumerate(self.sides):
                self.run_effects(number, side.layer.handle_timers(self.now))
