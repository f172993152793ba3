"""The HTTP application: /metrics, /health/live, /health/ready, /api/v1. Not here: the server and its socket.

No page loads anything from elsewhere: FastAPI's Swagger pages (which would) are off; the OpenAPI document
itself is served at /api/v1/openapi.json.
"""

import asyncio
import ipaddress
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import PlainTextResponse

from console.model import DrainAnswer, Readiness, Status
from console.sources import HealthSource, MetricsSource


def build_app(metrics: MetricsSource, health: HealthSource, *, version: str) -> FastAPI:
    """Make the application on top of the two sources."""
    app = FastAPI(
        title="Trunkline",
        version=version,
        summary="A session border controller between Talkdesk and Microsoft Teams.",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
    )
    _add_health(app, health)
    _add_metrics(app, metrics)
    _add_api(app, health)
    return app


def _add_health(app: FastAPI, health: HealthSource) -> None:
    @app.get(
        "/health/live", response_class=PlainTextResponse, tags=["health"], summary="Is the process alive?"
    )
    async def live() -> str:
        """Answer 200 as long as the event loop turns."""
        return "alive\n"

    @app.get(
        "/health/ready",
        tags=["health"],
        summary="Does the node take calls?",
        responses={503: {"model": Readiness, "description": "It does not; the reasons say why."}},
    )
    async def ready(response: Response) -> Readiness:
        """Answer 200 when the node takes calls, else 503 with the reasons."""
        state = health.readiness()
        if not state.ready:
            response.status_code = 503
        return state


def _add_metrics(app: FastAPI, metrics: MetricsSource) -> None:
    @app.get("/metrics", response_class=PlainTextResponse, tags=["metrics"], summary="Metrics for Prometheus")
    async def page(request: Request) -> Response:
        """Render outside the event loop: a large page takes milliseconds that calls would feel."""
        body, content_type = await asyncio.to_thread(metrics.render, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": content_type})


def _add_api(app: FastAPI, health: HealthSource) -> None:
    @app.get("/api/v1/status", tags=["node"], summary="The whole node at a glance")
    async def status() -> Status:
        """Give phase, calls, trunks, certificates, directories and media engines."""
        return health.status()

    @app.post(
        "/api/v1/drain",
        tags=["node"],
        status_code=202,
        summary="Finish the calls in progress and stop",
        responses={403: {"description": "Only a program on the same machine may drain the node."}},
    )
    async def drain(_: Annotated[None, Depends(_from_this_machine)]) -> DrainAnswer:
        """Take no new call from now on, wait for those in progress, then stop."""
        health.request_drain()
        return DrainAnswer(draining=True, active_calls=health.status().active_calls)


async def _from_this_machine(request: Request) -> None:
    """Refuse other machines, and browsers that some page on this machine sent here (cross-site requests)."""
    host = request.client.host if request.client is not None else ""
    if not _is_loopback(host):
        raise HTTPException(403, "only a program on the same machine may do this")
    if "origin" in request.headers or "sec-fetch-site" in request.headers:
        raise HTTPException(403, "not from a web page")


def _is_loopback(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool((mapped or address).is_loopback)
