"""Orders: append, read, follow, and react to a conflict; once blocking, once with asyncio.

The store's URL comes from STREAMKEEP_URL; without it, a file in a temporary folder is used.
"""

import asyncio
import os
import tempfile

from streamkeep import NO_STREAM, AsyncEventStore, ConflictError, Event, EventStore, Query


def orders(url: str) -> None:
    """Place an order and ship it."""
    with EventStore.open(url) as store:
        at = store.append("order-42", [Event("OrderPlaced", {"total": 12.5})], expected=NO_STREAM)
        store.append("customer-7", [Event.json("Registered", '{"rate": 1.0}')])  # JSON as it is
        shipped = Event("OrderShipped", {}, metadata={"createdBy": "amy"}, tags=["customer:7"])
        store.append("order-42", [shipped], expected=at.version)
        for e in store.read("order-42", from_version=1):
            print(e.version, e.type, e.data, e.metadata)
        for e in store.read_all(query=Query(types=["OrderShipped"]) | Query(streams=["customer-7"]), after=0, limit=100):
            print(e.stream, e.type, e.data_bytes.decode())
        try:
            store.append("order-42", [Event("OrderCancelled", {})], expected=at.version)
        except ConflictError as conflict:
            print(f"{conflict.stream} is at version {conflict.actual} by now")


async def follow(url: str) -> None:
    """Pay the order, and follow all orders until the payment arrives."""
    async with AsyncEventStore.open(url) as store:  # also: store = await AsyncEventStore.open(url)
        await store.append("order-42", [Event("OrderPaid", {})])
        async for e in store.read("order-42"):
            print(e.version, e.type)
        async for e in store.subscribe(query=Query(categories=["order"]), start="beginning"):  # or after=position
            if e.type == "OrderPaid":
                print("paid")
                break


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        at_url = os.environ.get("STREAMKEEP_URL", f"sqlite:{folder}/orders.db")
        orders(at_url)
        asyncio.run(follow(at_url))
