"""How late the event loop is: what a call feels when something holds the loop."""

import asyncio
from collections.abc import Callable

INTERVAL_S = 0.25


async def watch_loop_lag(observe: Callable[[float], None], interval_s: float = INTERVAL_S) -> None:
    """Report how much later than asked a timer fired, in seconds, again and again until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval_s
        await asyncio.sleep(interval_s)
        observe(max(0.0, loop.time() - due))
