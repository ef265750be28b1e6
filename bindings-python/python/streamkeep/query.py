"""Queries, which select events of the log."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Final, final

from streamkeep.frozen import Frozen

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streamkeep.fields import Items


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class QueryItem:
    """One item of a query. An event must satisfy all four lists; an empty one restricts nothing."""

    types: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()


_LISTS: Final = tuple(field.name for field in fields(QueryItem))


@final
class Query(Frozen):
    """Selects everything, or the events that match one of up to 64 items.

    An event matches an item if its type is one of `types`, it has all of `tags`, its category is one of `categories`,
    and its stream is one of `streams`. An empty list restricts nothing. `Query(…) | Query(…)` matches what either
    matches.

    >>> Query(types=["OrderPlaced"]) | Query(tags=["customer:7"])
    Query(types=('OrderPlaced',)) | Query(tags=('customer:7',))
    """

    __slots__ = ("items",)
    items: tuple[QueryItem, ...]

    def __init__(
        self,
        *,
        types: Iterable[str] = (),
        tags: Iterable[str] = (),
        categories: Iterable[str] = (),
        streams: Iterable[str] = (),
    ) -> None:
        item = QueryItem(
            types=_names("types", types),
            tags=_names("tags", tags),
            categories=_names("categories", categories),
            streams=_names("streams", streams),
        )
        self._set("items", () if item == QueryItem() else (item,))

    def __or__(self, other: Query) -> Query:
        """Join two queries: an event matches if it matches either."""
        if not isinstance(other, Query):
            return NotImplemented
        both = Query()
        if self.items and other.items:
            both._set("items", self.items + other.items)
        return both

    def __eq__(self, other: object) -> bool:
        return self.items == other.items if isinstance(other, Query) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.items)

    def __repr__(self) -> str:
        shown = [", ".join(f"{name}={getattr(item, name)!r}" for name in _LISTS if getattr(item, name)) for item in self.items]
        return " | ".join(f"Query({names})" for names in shown) or "Query()"

    def __reduce__(self) -> tuple[object, ...]:
        return _of_items, (self.items,)


def _names(argument: str, names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise TypeError(f"{argument} takes several strings: [{names!r}]")
    return tuple(names)


def _of_items(items: tuple[QueryItem, ...]) -> Query:
    query = Query()
    query._set("items", items)  # noqa: SLF001 ours
    return query


def query_crossing(query: Query) -> Items:
    """Convert a query for the native module."""
    if not isinstance(query, Query):
        raise TypeError("query must be a Query")
    return [(item.types, item.tags, item.categories, item.streams) for item in query.items]


EVERYTHING: Final = Query()
