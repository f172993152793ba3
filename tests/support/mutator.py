"""Mutates valid messages into hostile ones, from a seed: bits, slices, repeats, swaps, numbers, separators."""

import random
from collections.abc import Iterator

_BITS = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\x00",
    b";",
    b",",
    b"<",
    b">",
    b'"',
    b"%",
    b":",
    b"@",
    b" ",
    b"\t",
    b"\xff\xfe",
    b"=",
    b"[",
    b"]",
)
_NUMBERS = (b"0", b"-1", b"4294967296", b"99999999999999999999", b"1e9", b"0x10", b"")


def mutate(message: bytes, rng: random.Random) -> bytes:
    """Return a damaged copy."""
    data = bytearray(message)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        if not data:
            break
        at = rng.randrange(len(data))
        match rng.randrange(9):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.choice((1, 2, 10, 100))]
            case 2:
                data[at:at] = rng.choice(_BITS)
            case 3:
                piece = data[at : at + rng.randrange(1, 80)]
                data[at:at] = bytes(piece) * rng.choice((1, 2, 20))
            case 4:
                data = data[:at]
            case 5:
                other = rng.randrange(len(data))
                data[at], data[other] = data[other], data[at]
            case 6:
                digits = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
                if digits:
                    spot = rng.choice(digits)
                    data[spot : spot + 1] = rng.choice(_NUMBERS)
            case 7:
                lines = bytes(data).split(b"\r\n")
                rng.shuffle(lines) if rng.random() < 0.3 else lines.insert(
                    rng.randrange(len(lines)), rng.choice(lines)
                )
                data = bytearray(b"\r\n".join(lines))
            case _:
                data[at:at] = bytes(rng.randrange(256) for _ in range(rng.choice((1, 5, 200))))
    return bytes(data)


def stream(seeds: list[bytes], seed: int) -> Iterator[bytes]:
    """Give damaged messages for ever; some of them are not damaged at all."""
    rng = random.Random(seed)
    while True:
        message = rng.choice(seeds)
        yield message if rng.random() < 0.02 else mutate(message, rng)
