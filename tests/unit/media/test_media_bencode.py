import pytest

from sbc.media.bencode import decode, decode_dict, encode
from sbc.media.errors import MediaProtocolError


def test_what_ng_needs_is_written_as_rtpengine_reads_it():
    value = {"command": "offer", "sdp": b"v=0\r\n", "flags": ["a", b"b"], "port": -3, "on": True}
    assert encode(value) == b"d7:command5:offer3:sdp5:v=0\r\n5:flagsl1:a1:be4:porti-3e2:oni1ee"


def test_a_dictionary_comes_back():
    assert decode(b"d1:ad1:bli1e2:xyeee") == {"a": {"b": [1, b"xy"]}}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"x",
        b"i",
        b"ie",
        b"i-e",
        b"i1",
        b"i1x2e",
        b"i99999999999999999999999999999e",
        b"l",
        b"li1e",
        b"d",
        b"di1ei2ee",
        b"d1:a",
        b"d1:ae",
        b"5:abcd",
        b"99999999999:a",
        b"-1:a",
        b"1:ab",
        b"l" * 5000,
        b"d1:a" * 2000,
    ],
)
def test_what_is_not_bencode_raises_the_packages_error_alone(data):
    with pytest.raises(MediaProtocolError):
        decode(data)


def test_a_list_is_not_a_dictionary():
    with pytest.raises(MediaProtocolError, match="not a dictionary"):
        decode_dict(b"le")


def test_what_bencode_cannot_carry_is_our_own_fault():
    with pytest.raises(TypeError, match="float"):
        encode({"a": 1.5})
