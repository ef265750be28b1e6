"""Follows a log from another thread while this one writes, and ends it when all was seen.

The store's URL comes from STREAMKEEP_URL; without it, a file in a temporary folder is used.
"""

import os
import tempfile
import threading

from streamkeep import Event, EventStore, Query, Subscription


def main(url: str) -> None:
    """Write in one thread, follow in another."""
    with EventStore.open(url) as store:
        caught_up = threading.Event()
        # Without an event for 30 s, the iteration ends.
        subscription = store.subscribe(query=Query(categories=["parcel"]), on_caught_up=caught_up.set, idle_timeout=30)
        follower = threading.Thread(target=show, args=(subscription,))
        follower.start()
        caught_up.wait()
        for number in range(1, 4):
            store.append(f"parcel-{number}", [Event("ParcelRegistered", {"to": "Lyon"})])
            store.append(f"letter-{number}", [Event("LetterPosted")])
        store.append("parcel-3", [Event("ParcelLost")])
        follower.join()
    print("closed")


def show(subscription: Subscription) -> None:
    """Print events until a parcel is lost."""
    for event in subscription:
        print(event.stream, event.type)
        if event.type == "ParcelLost":
            subscription.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(os.environ.get("STREAMKEEP_URL", f"sqlite:{folder}/parcels.db"))
