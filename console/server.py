"""The HTTP server: uvicorn as a task of our loop, on a socket of our own, without its signal handlers.

uvicorn by itself takes over SIGTERM, and raises SystemExit inside its task when the port is taken; either
would end the calls. So the socket is bound here, and signals are the program's (`trunkline.lifecycle`).
"""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from fastapi import FastAPI

from console.errors import ListenError

GRACE_S = 2
"""How long requests in progress may take when the server stops. Seconds."""
MOST_REQUESTS = 200
"""How many connections are served at once; more get 503."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield


class ConsoleServer:
    """One HTTP server. `start` once, `stop` once."""

    def __init__(self, app: FastAPI, address: str, port: int) -> None:
        """`port` 0 takes any free one; `bound_port` tells which."""
        self._address = address
        self._port = port
        self._server = _Server(
            uvicorn.Config(
                app,
                lifespan="off",
                loop="none",
                ws="none",
                log_config=None,
                access_log=False,
                proxy_headers=False,  # a peer's address is the socket's, whatever X-Forwarded-For says
                server_header=False,
                limit_concurrency=MOST_REQUESTS,
                timeout_graceful_shutdown=GRACE_S,
            )
        )
        self._task: asyncio.Task[None] | None = None
        self.bound_port = 0

    async def start(self) -> None:
        """Bind and serve; raises ListenError when the address is taken or not ours."""
        bound = _bind(self._address, self._port)
        self.bound_port = bound.getsockname()[1]
        self._task = asyncio.create_task(self._server.serve(sockets=[bound]), name="console")
        while not self._server.started:
            if self._task.done():
                bound.close()
                self._task.result()
                raise ListenError("the HTTP server ended while it started")
            await asyncio.sleep(0)

    async def stop(self) -> None:
        """Finish requests in progress (for `GRACE_S` at most) and close the socket."""
        if self._task is None:
            return
        self._server.should_exit = True
        with suppress(TimeoutError):
            await asyncio.wait_for(self._task, GRACE_S + 2)
        self._task = None


def _bind(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((address, port))
        bound.listen(256)
        bound.setblocking(False)
    except OSError as error:
        bound.close()
        raise ListenError(f"HTTP cannot listen on {address} port {port}: {error.strerror}") from None
    return bound
