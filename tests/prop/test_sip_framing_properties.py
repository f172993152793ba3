"""However a stream is cut, the messages that come out are the same."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sbc.sip.errors import ParseError
from sbc.sip.parser import LIMITS
from sbc.sip.stream import KeepAlive, StreamFramer
from tests.support.sip_messages import invite, messages


def framed(pieces: list[bytes]) -> list[bytes | KeepAlive]:
    framer = StreamFramer()
    found: list[bytes | KeepAlive] = []
    for piece in pieces:
        framer.feed(piece)
        while (item := framer.next()) is not None:
            found.append(item)
    return found


def test_a_stream_cut_at_every_byte_gives_the_same_messages() -> None:
    one, two = invite(), invite(body=b"")
    stream = b"\r\n\r\n" + one + b"\r\n\r\n" + two + one
    whole = [KeepAlive.PING, one, KeepAlive.PING, two, one]
    assert framed([stream]) == whole
    for at in range(len(stream)):
        assert framed([stream[:at], stream[at:]]) == whole
    assert framed([stream[at : at + 1] for at in range(len(stream))]) == whole


@settings(deadline=None, max_examples=50)
@given(st.lists(messages(), min_size=1, max_size=4), st.data())
def test_random_cuts_give_the_same_messages(sent: list[bytes], draw: st.DataObject) -> None:
    stream = b"".join(sent)
    cuts = sorted(draw.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    edges = [0, *cuts, len(stream)]
    assert framed([stream[a:b] for a, b in pairwise(edges)]) == sent


@settings(deadline=None, max_examples=150)
@given(
    st.lists(
        st.binary(max_size=40) | st.sampled_from([b"\r\n", b"\r", b"\n", b"l: 3", b"INVITE "]), max_size=12
    )
)
def test_garbage_ends_in_parse_error_or_waits(pieces: list[bytes]) -> None:
    framer = StreamFramer()
    for piece in pieces:
        framer.feed(piece)
        try:
            while framer.next() is not None:
                pass
        except ParseError:
            framer.feed(b"more")
            assert framer.pending == 0
            return
        assert framer.pending <= LIMITS.message
