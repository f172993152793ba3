"""The bus delivers at once and in order, and a failing or slow subscriber harms nobody else."""

import asyncio
from typing import Any

import pytest

from events import CertificateExpiring, DrainStarted, EventBus, TrunkStateChanged

DRAIN = DrainStarted("test")
UP = TrunkStateChanged("t", "hub:5061", up=True, reason="200")


class Errors:
    def __init__(self) -> None:
        self.seen: list[tuple[Any, Exception]] = []

    def __call__(self, event: Any, handler: Any, error: Exception) -> None:
        self.seen.append((event, error))


def test_subscribers_get_their_kind_at_once_and_in_order() -> None:
    bus, order = EventBus(Errors()), []
    bus.subscribe(DrainStarted, lambda event: order.append(("first", event)))
    bus.subscribe(DrainStarted, lambda event: order.append(("second", event)))
    bus.subscribe(TrunkStateChanged, lambda event: order.append(("trunk", event)))
    bus.publish(DRAIN)
    assert order == [("first", DRAIN), ("second", DRAIN)]
    bus.publish(UP)
    assert order[2:] == [("trunk", UP)]
    bus.publish(CertificateExpiring("c", 0.0, 1.0))
    assert len(order) == 3


def test_a_failing_subscriber_is_reported_and_harms_nobody() -> None:
    errors, seen = Errors(), []
    bus = EventBus(errors)

    def fail(event: DrainStarted) -> None:
        raise ValueError("mine")

    bus.subscribe(DrainStarted, fail)
    bus.subscribe(DrainStarted, seen.append)
    bus.publish(DRAIN)
    bus.publish(DRAIN)
    assert seen == [DRAIN, DRAIN]
    assert [str(error) for _, error in errors.seen] == ["mine", "mine"]


def test_cancelling_ends_delivery_even_from_inside() -> None:
    bus, seen = EventBus(Errors()), []

    def once(event: DrainStarted) -> None:
        seen.append(event)
        subscription.cancel()

    subscription = bus.subscribe(DrainStarted, once)
    later = bus.subscribe(DrainStarted, seen.append)
    bus.publish(DRAIN)
    bus.publish(DRAIN)
    assert len(seen) == 3
    later.cancel()
    later.cancel()
    bus.publish(DRAIN)
    assert len(seen) == 3


def test_a_subscriber_may_publish_and_subscribe() -> None:
    bus, seen = EventBus(Errors()), []

    def more(event: DrainStarted) -> None:
        bus.subscribe(TrunkStateChanged, seen.append)
        bus.publish(UP)

    bus.subscribe(DrainStarted, more)
    bus.publish(DRAIN)
    assert seen == [UP]


async def test_a_queue_keeps_the_newest_for_a_slow_consumer() -> None:
    bus = EventBus(Errors())
    queue = bus.queue(DrainStarted, size=2)
    for reason in "abc":
        bus.publish(DrainStarted(reason))
    assert (len(queue), queue.dropped) == (2, 1)
    queue.close()
    bus.publish(DRAIN)
    assert [event.reason async for event in queue] == ["b", "c"]
    assert await queue.get() is None


async def test_a_waiting_consumer_wakes_for_an_event_and_for_the_end() -> None:
    bus = EventBus(Errors())
    queue = bus.queue(DrainStarted)
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    bus.publish(DRAIN)
    assert await asyncio.wait_for(waiting, 1) is DRAIN
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    queue.close()
    assert await asyncio.wait_for(waiting, 1) is None


def test_events_are_frozen() -> None:
    with pytest.raises(AttributeError):
        DRAIN.reason = "other"  # type: ignore[misc]  # that is the test
