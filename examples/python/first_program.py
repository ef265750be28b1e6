"""The first program: append, conflict, read, snapshot, subscribe, close.

The store's URL comes from STREAMKEEP_URL; without it, a file in a temporary folder is used.
"""

import os
import tempfile

from streamkeep import NO_STREAM, ConflictError, Event, EventStore, Snapshot


def main(url: str) -> None:
    """Run the program on a store without events."""
    with EventStore.open(url) as store:
        events = [Event("OrderPlaced", {"total": 12.5}), Event("OrderPaid", {"amount": 12.5})]
        at = store.append("order-42", events, expected=NO_STREAM)
        print(f"appended order-42 up to version {at.version}")

        try:
            store.append("order-42", [Event("OrderPlaced", {"total": 1})], expected=NO_STREAM)
        except ConflictError as conflict:
            print(f"conflict on {conflict.stream}: expected {conflict.expected}, actual {conflict.actual}")

        for event in store.read("order-42"):
            print(event.version, event.type, event.data_bytes.decode())

        store.save_snapshot(Snapshot("order-42", at.version, "order/1", {"paid": True}))
        if snapshot := store.load_snapshot("order-42", "order/1"):
            print(f"snapshot {snapshot.schema} at version {snapshot.version}: {snapshot.data_bytes.decode()}")

        def caught_up() -> None:
            print("caught up")
            subscription.close()

        subscription = store.subscribe(start="beginning", on_caught_up=caught_up)
        for event in subscription:
            print(f"event {event.version} of {event.stream}")
    print("closed")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(os.environ.get("STREAMKEEP_URL", f"sqlite:{folder}/orders.db"))
