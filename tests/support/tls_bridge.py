"""Carries TLS for programs that speak only TCP, byte for byte: Debian's SIPp is built without TLS.

``serve`` takes TLS (asking for a client certificate) and connects on to plain TCP; ``dial`` takes plain TCP and connects on over
TLS, from a chosen source address and with a client certificate. One connection on one side is one on the other.
"""

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Identity:
    """Certificate files."""

    chain: Path
    key: Path
    ca: Path


class Bridge:
    """One direction of bridging on one local address."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.failures: list[str] = []
        self.port = 0

    async def serve(self, address: str, port: int, identity: Identity, to: tuple[str, int]) -> None:
        """Take TLS at an address and connect on to TCP."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.chain, identity.key)
        context.load_verify_locations(identity.ca)
        context.verify_mode = ssl.CERT_REQUIRED

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._join(reader, writer, asyncio.open_connection(*to))

        self._server = await asyncio.start_server(accepted, address, port, ssl=context)
        self.port = self._server.sockets[0].getsockname()[1]

    async def dial(
        self,
        address: str,
        port: int,
        identity: Identity | None,
        to: tuple[str, int],
        name: str,
        ca: Path,
        source: str,
    ) -> None:
        """Take TCP at an address and connect on over TLS."""
        context = ssl.create_default_context(cafile=str(ca))
        if identity is not None:
            context.load_cert_chain(identity.chain, identity.key)

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            onward = asyncio.open_connection(*to, ssl=context, server_hostname=name, local_addr=(source, 0))
            await self._join(reader, writer, onward)

        self._server = await asyncio.start_server(accepted, address, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _join(self, reader, writer, onward) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            far_reader, far_writer = await asyncio.wait_for(onward, 10)
        except (OSError, ssl.SSLError, TimeoutError) as error:
            self.failures.append(str(error))
            writer.close()
            self._tasks.discard(task)
            return
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except (OSError, ssl.SSLError) as error:
            self.failures.append(str(error))
        finally:
            with contextlib.suppress(OSError, ssl.SSLError, RuntimeError):
                writer.close()

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
