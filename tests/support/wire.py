"""Plain sockets that speak SIP text to a node."""

import asyncio
import itertools
import socket

_COUNT = itertools.count(1)


def options(host: str, port: int, local: tuple[str, int], transport: str = "UDP") -> bytes:
    """Write an OPTIONS that anybody has to answer."""
    number = next(_COUNT)
    return (
        f"OPTIONS sip:{host}:{port} SIP/2.0\r\n"
        f"Via: SIP/2.0/{transport} {local[0]}:{local[1]};branch=z9hG4bKwire{number};rport\r\n"
        f"From: <sip:probe@{local[0]}>;tag=w{number}\r\nTo: <sip:{host}>\r\nCall-ID: wire{number}@{local[0]}\r\n"
        f"CSeq: {number} OPTIONS\r\nContact: <sip:probe@{local[0]}:{local[1]}>\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    ).encode()


def answers_options(host: str, port: int, *, source: str = "127.0.0.1", limit_s: float = 3.0) -> bool:
    """Ask OPTIONS over UDP; tell whether 200 came."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(limit_s)
        request = options(host, port, sock.getsockname())
        for _ in range(2):
            sock.sendto(request, (host, port))
            try:
                while True:
                    data = sock.recv(65536)
                    if (
                        data.startswith(b"SIP/2.0 200")
                        and request.split(b"Call-ID: ")[1].split(b"\r\n")[0] in data
                    ):
                        return True
            except TimeoutError:
                continue
    return False


async def closed_within(reader: asyncio.StreamReader, limit_s: float) -> bool:
    """Tell whether the far side closes a connection in time."""
    try:
        async with asyncio.timeout(limit_s):
            while await reader.read(4096):
                pass
    except TimeoutError:
        return False
    except OSError:
        return True
    return True
