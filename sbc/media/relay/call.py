"""One call in the relay: two legs, and what each SDP changes about them.

Not here: packets (`leg`), which call a command means (`commands`). RFC 3264 for offers and answers, §8 for the order of
m= lines: it never shrinks, so each leg keeps its own, with the one relayed audio stream and the refused rest.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sbc.media.errors import UnusableSdp
from sbc.media.relay import mos, sdp
from sbc.media.relay.crypto import CryptoLine, choose_answered, choose_offered
from sbc.media.relay.latch import Address
from sbc.media.relay.leg import Leg


@dataclass(slots=True)
class Interface:
    """An address of the relay."""

    name: str
    bind: str
    advertised: str


@dataclass(slots=True)
class Party:
    """One side of the call as signalling sees it; `leg` is what packets see."""

    tag: str
    interface: Interface
    leg: Leg
    session_id: int
    key: CryptoLine
    """Our key towards this side; fixed for the call's life, as are the ports."""
    shape: list[sdp.Section | None] = field(default_factory=list)
    """The order of its m= lines; None stands for the relayed stream."""
    mux_agreed: bool | None = None
    """The outcome of rtcp-mux; None while open. It may not change mid-call."""
    mux_offered: bool = False
    protocol: str = "RTP/AVP"
    """The transport of its m= line."""
    version: int = 0
    last_written: bytes = b""
    source: tuple[str, str] | None = None
    """Who made its last SDP: another one is another party, a fork or a transfer's target."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command's flags ask for."""

    protocol: str
    mux: frozenset[str]


class Call:
    """A call. `parties` are the two sides: whoever made the first offer, and the other."""

    __slots__ = ("created_at", "id", "parties", "touched_at")

    def __init__(self, call_id: str, parties: tuple[Party, Party], now: float) -> None:
        self.id = call_id
        self.parties = parties
        self.created_at = self.touched_at = now
        parties[0].leg.other, parties[1].leg.other = parties[1].leg, parties[0].leg

    def offer(self, from_tag: str, to_tag: str | None, data: bytes, wanted: Wanted, now: float) -> bytes:
        """Take an offer from one side; return the one for the other. UnusableSdp changes nothing."""
        description = sdp.parse(data)
        sender, receiver = self._sides(from_tag, to_tag)
        index = _find_stream(sender.shape, description)
        section = description.sections[index]
        line = _offered_key(sender, section)
        address = _address(sender, description, section)

        self.touched_at = now
        sender.tag, receiver.tag = from_tag, to_tag or receiver.tag
        sender.shape = _shape(sender.shape, description, index)
        sender.protocol = section.protocol
        self._describe(sender, description, section, address)
        if section.port:
            self._agree(sender, line)
            sender.mux_agreed = section.has("rtcp-mux") and "reject" not in wanted.mux
            sender.leg.mux = sender.mux_agreed
        return self._pass_on_offer(receiver, description, section, wanted)

    def _pass_on_offer(
        self, receiver: Party, description: sdp.Description, section: sdp.Section, wanted: Wanted
    ) -> bytes:
        receiver.shape = receiver.shape or [None]
        receiver.protocol = wanted.protocol
        if "SAVP" in wanted.protocol:
            receiver.leg.secure = True
            receiver.leg.send_key(receiver.key)
        else:
            receiver.leg.receive_key(None)
            receiver.leg.send_key(None)
        if receiver.mux_agreed is None:
            passed_on = section.has("rtcp-mux") and not wanted.mux & {"demux", "reject"}
            receiver.mux_offered = bool(wanted.mux & {"offer", "require"}) or passed_on
        else:
            receiver.mux_offered = receiver.mux_agreed
        return self._write(receiver, description, section, mux=receiver.mux_offered)

    def answer(self, from_tag: str, to_tag: str, data: bytes, now: float) -> bytes:
        """Take the answer of `to_tag`; return the one for the offerer, `from_tag`. The latest answer wins."""
        description = sdp.parse(data)
        offerer, answerer = self._sides(from_tag, to_tag)
        index = _find_stream(answerer.shape, description)
        section = description.sections[index]
        line = _answered_key(answerer, section)
        address = _address(answerer, description, section)

        self.touched_at = now
        offerer.tag, answerer.tag = from_tag, to_tag
        self._describe(answerer, description, section, address)
        if section.port:
            self._agree(answerer, line)
            answerer.mux_agreed = answerer.mux_offered and section.has("rtcp-mux")
            answerer.leg.mux = answerer.mux_agreed
        return self._write(offerer, description, section, mux=bool(offerer.mux_agreed))

    def statistics(self, now: float) -> list[dict[str, object]]:
        """Return each direction's counters."""
        return [self._direction(a, b, now) for a, b in (self.parties, self.parties[::-1])]

    def close(self) -> None:
        """Give the sockets back."""
        for party in self.parties:
            party.leg.close()

    @property
    def last_activity(self) -> float:
        """When the call last had a packet or a command."""
        heard = (party.leg.counters.last_at for party in self.parties)
        return max(self.touched_at, *(at for at in heard if at is not None), self.created_at)

    # ---- sides ----------------------------------------------------------------------------------------------

    def _sides(self, from_tag: str, to_tag: str | None) -> tuple[Party, Party]:
        """Find the two sides by their tags; a new tag takes the place of the side that is not named."""
        first, second = self.parties
        if from_tag == second.tag or (to_tag == first.tag and from_tag != first.tag):
            return second, first
        return first, second

    def _describe(
        self, party: Party, description: sdp.Description, section: sdp.Section, address: Address | None
    ) -> None:
        """Take what an SDP says of addresses and payload types."""
        for side in self.parties:  # what one side offers to receive, the other sends
            side.leg.describe(section.payload_types, section.clocks)
        rtcp = None if address is None else sdp.rtcp_address(section, *address)
        party.leg.send_to(address, rtcp)
        source = (party.tag, description.identity)
        if party.source not in (None, source):
            party.leg.another_party()
        party.source = source

    @staticmethod
    def _agree(party: Party, line: CryptoLine | None) -> None:
        """Take the peer's key, and send with the suite that it chose."""
        party.leg.receive_key(line)
        if line is not None:
            party.key = replace(party.key, tag=line.tag, suite=line.suite)
        party.leg.send_key(None if line is None else party.key)

    @staticmethod
    def _write(party: Party, description: sdp.Description, section: sdp.Section, *, mux: bool) -> bytes:
        """Write the SDP for one side; its version moves only when something else in it does (RFC 3264 §8)."""

        def written() -> bytes:
            own = sdp.Written(
                host=party.interface.advertised,
                port=party.leg.port,
                rtcp_port=party.leg.port + (0 if mux and party.mux_agreed else 1),
                protocol=party.protocol,
                origin=f"{party.session_id} {party.version}",
                mux=mux,
                crypto=str(party.key) if party.leg.secure else None,
            )
            return sdp.write(description, section, party.shape, own)

        if written() != party.last_written:
            party.version += 1
            party.last_written = written()
        return party.last_written

    @staticmethod
    def _direction(sender: Party, receiver: Party, now: float) -> dict[str, object]:
        counters = sender.leg.counters
        jitter_ms = counters.jitter * 1000
        result: dict[str, object] = {
            "from": sender.tag,
            "to": receiver.tag,
            "packets": counters.packets,
            "octets": counters.octets,
            "lost": counters.lost,
            "rtcp-packets": counters.rtcp_packets,
            "errors": counters.errors,
            "strays": counters.strays,
            "unsent": counters.unsent,
            "local-port": sender.leg.port,
        }
        if counters.last_at is not None:
            rating = mos.r_factor(counters.lost, counters.expected, jitter_ms, counters.payload_type)
            result |= {
                "jitter-us": round(jitter_ms * 1000),
                "r-x100": round(rating * 100),
                "mos-x100": round(mos.mos(rating) * 100),
                "age-ms": max(0, round((now - counters.last_at) * 1000)),
            }
        return result


def _find_stream(shape: Sequence[sdp.Section | None], description: sdp.Description) -> int:
    """Return which m= line is the relayed one: the same as ever, or at first the first that can be carried."""
    sections = description.sections
    if shape:
        index = shape.index(None)
        if index >= len(sections) or sections[index].kind != "audio":
            raise UnusableSdp("SDP has no audio where it was")
        return index
    carried = [i for i, section in enumerate(sections) if section.carried]
    if not carried:
        raise UnusableSdp("SDP has no audio that can be carried")
    usable = (i for i in carried if not sections[i].secure or choose_offered(sections[i].values("crypto")))
    return next(usable, carried[0])


def _shape(
    before: Sequence[sdp.Section | None], description: sdp.Description, index: int
) -> list[sdp.Section | None]:
    """Return the order of m= lines after an offer; lines once there stay (RFC 3264 §8)."""
    now: list[sdp.Section | None] = list(description.sections)
    now[index] = None
    return [*now, *before[len(now) :]]


def _offered_key(party: Party, section: sdp.Section) -> CryptoLine | None:
    if not section.secure or not section.port:
        return None
    line = choose_offered(section.values("crypto"), party.key.suite)
    if line is None:
        raise UnusableSdp("SDP has no crypto that can be used")
    return line


def _answered_key(party: Party, section: sdp.Section) -> CryptoLine | None:
    if not party.leg.secure or not section.port:
        return None
    line = choose_answered(section.values("crypto"), party.key.tag, party.key.suite)
    if line is None:
        raise UnusableSdp("SDP answer has no crypto that can be used")
    return line


def _address(party: Party, description: sdp.Description, section: sdp.Section) -> Address | None:
    """Return where media is wanted; None when held, or named in a way that only its packets can tell."""
    named = description.address(section)
    if named is None or not section.port:
        return None
    try:
        address = ipaddress.ip_address(named[1])
    except ValueError:
        return None  # a host name: it is not resolved here, its packets will say where it is
    if address.is_unspecified or address.is_multicast:
        return None
    if address.version != ipaddress.ip_address(party.interface.bind).version:
        raise UnusableSdp(f"SDP address family does not fit interface {party.interface.name!r}")
    return str(address), section.port
