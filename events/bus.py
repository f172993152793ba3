"""The in-process bus: facts in, calls to whoever subscribed to that kind of fact.

Delivery is at once and in order, on the caller's thread, which is the event loop's. A subscriber must not
block; one that is slow takes an `EventQueue`. One that fails is reported to `on_error` and harms neither the
publisher nor the others. Not here: persistence, other processes, replies.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Generic, TypeVar

EventT = TypeVar("EventT")
Handler = Callable[[Any], None]
ErrorHandler = Callable[[Any, Handler, Exception], None]
"""Called with the event, the handler that failed, and what it raised."""


class Subscription:
    """A handler's place on the bus; `cancel` gives it up. Cancelling twice is allowed."""

    __slots__ = ("_bus", "_handler", "_kind")

    def __init__(self, bus: "EventBus", kind: type[Any], handler: Handler) -> None:
        self._bus = bus
        self._kind = kind
        self._handler = handler

    def cancel(self) -> None:
        """Take no more events; one that is being delivered now may still arrive."""
        self._bus._remove(self._kind, self)

    def deliver(self, event: Any) -> None:
        """Hand an event to the handler."""
        self._handler(event)

    @property
    def handler(self) -> Handler:
        """The function that was subscribed."""
        return self._handler


class EventBus:
    """Carries events from publishers to subscribers of exactly that class of event."""

    __slots__ = ("_on_error", "_subscriptions")

    def __init__(self, on_error: ErrorHandler) -> None:
        """`on_error` is told of each failing subscriber (log it with its traceback); it must not raise."""
        self._subscriptions: dict[type[Any], tuple[Subscription, ...]] = {}
        self._on_error = on_error

    def subscribe(self, kind: type[EventT], handler: Callable[[EventT], None]) -> Subscription:
        """Call `handler` with each event of that class from now on, after those that subscribed earlier."""
        subscription = Subscription(self, kind, handler)
        self._subscriptions[kind] = (*self._subscriptions.get(kind, ()), subscription)
        return subscription

    def publish(self, event: Any) -> None:
        """Deliver the event to its subscribers before returning; what they raise goes to `on_error`."""
        for subscription in self._subscriptions.get(type(event), ()):
            try:
                subscription.deliver(event)
            except Exception as error:  # noqa: BLE001 - whatever a subscriber raises is its own affair
                self._on_error(event, subscription.handler, error)

    def queue(self, *kinds: type[EventT], size: int = 1000) -> "EventQueue[EventT]":
        """Give a bounded queue of those kinds of events, for a consumer that awaits between them."""
        return EventQueue(self, kinds, size)

    def _remove(self, kind: type[Any], gone: Subscription) -> None:
        kept = tuple(item for item in self._subscriptions.get(kind, ()) if item is not gone)
        if kept:
            self._subscriptions[kind] = kept
        else:
            self._subscriptions.pop(kind, None)


class EventQueue(Generic[EventT]):
    """Events waiting for a slow consumer.

    When it is full the oldest is dropped and counted: the newest matters most.
    For one consumer: `async for event in queue`, or `await queue.get()`. `close` ends the iteration.
    """

    __slots__ = ("_arrived", "_closed", "_items", "_subscriptions", "dropped")

    def __init__(self, bus: EventBus, kinds: tuple[type[EventT], ...], size: int) -> None:
        if size < 1:
            raise ValueError("an event queue holds at least one event")
        self._items: deque[EventT] = deque(maxlen=size)
        self._arrived = asyncio.Event()
        self._closed = False
        self.dropped = 0
        """How many events were lost because the consumer was too slow."""
        self._subscriptions = [bus.subscribe(kind, self._put) for kind in kinds]

    def __len__(self) -> int:
        """Give the number of events that wait."""
        return len(self._items)

    def _put(self, event: EventT) -> None:
        if len(self._items) == self._items.maxlen:
            self.dropped += 1
        self._items.append(event)
        self._arrived.set()

    async def get(self) -> EventT | None:
        """Give the next event; None when the queue is closed and empty."""
        while not self._items:
            if self._closed:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()

    async def __aiter__(self) -> AsyncIterator[EventT]:
        """Give events until the queue is closed and empty."""
        while (event := await self.get()) is not None:
            yield event

    def close(self) -> None:
        """Take no more events; what waits can still be read."""
        for subscription in self._subscriptions:
            subscription.cancel()
        self._subscriptions.clear()
        self._closed = True
        self._arrived.set()
