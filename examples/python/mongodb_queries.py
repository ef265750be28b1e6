"""Events in MongoDB are ordinary documents: queries and aggregation pipelines of MongoDB's own driver read them.

STREAMKEEP_URL names the database, as `mongodb://HOST/DATABASE`.
"""

import os
from typing import Any

from pymongo import MongoClient
from pymongo.database import Database
from streamkeep import Event, EventStore


def fill(url: str) -> None:
    """Place and pay some orders."""
    with EventStore.open(url) as store:
        for order, customer, total in [("order-1", "amy", 12.5), ("order-2", "bo", 250), ("order-3", "amy", 199.99)]:
            placed = Event("OrderPlaced", {"customer": {"name": customer}, "total": total}, tags=[f"customer:{customer}"])
            store.append(order, [placed])
        store.append("order-2", [Event("OrderPaid", {"total": 250})])


def ask(database: Database[dict[str, Any]]) -> None:
    """Find orders by the contents of their events."""
    events = database["streamkeep.default.events"]

    for e in events.find({"type": "OrderPlaced", "data.total": {"$gt": 100}}).sort("position"):
        print(e["stream"], e["version"], e["data"]["total"])

    turnover = events.aggregate(
        [
            {"$match": {"type": "OrderPlaced"}},
            {"$group": {"_id": "$data.customer.name", "orders": {"$sum": 1}, "total": {"$sum": "$data.total"}}},
            {"$sort": {"total": -1}},
        ]
    )
    for row in turnover:
        print(row["_id"], row["orders"], row["total"])


if __name__ == "__main__":
    store_url = os.environ["STREAMKEEP_URL"]
    fill(store_url)
    client: MongoClient[dict[str, Any]] = MongoClient(store_url)
    with client:
        ask(client.get_default_database())
