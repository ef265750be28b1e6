"""The native module, which is private. Without a bridge a call blocks; with one, its result goes to the bridge's loop."""

import asyncio
from typing import Final, Generic, Literal, TypeAlias, TypeVar, final, overload

from streamkeep.fields import (
    {% for name in imported %}
    {{ name }},
    {% endfor %}
)

__all__ = ["Bridge", "Call", "Cursor", "Store", "__version__", "new_id", "open", "panic_inside", "stop"]

_T = TypeVar("_T")

_Batch: TypeAlias = tuple[list[RecordedEventFields], bool]

__version__: Final[str]

@final
class Bridge:
    def __new__(cls, event_loop: asyncio.AbstractEventLoop) -> Bridge: ...
    def fileno(self) -> int: ...
    def go_on(self) -> None: ...

@final
class Call(Generic[_T]):
    @property
    def future(self) -> asyncio.Future[_T]: ...
    def abandon(self) -> None: ...

@final
class Cursor:
    @overload
    def next(self, bridge: None, timeout: float | None = None) -> _Batch | None: ...
    @overload
    def next(self, bridge: Bridge, timeout: float | None = None) -> Call[_Batch | None]: ...
    def stop(self) -> None: ...

@final
class Store:
    {% for method in methods if method.shape in ["answer", "close"] %}
    {% for bridge in ["None", "Bridge"] %}
    @overload
    def {{ method.name }}(
        self,
        bridge: {{ bridge }},
        {% for name, type in method.parameters %}
        {{ name }}: {{ type }},
        {% endfor %}
    ) -> {{ method.answer if bridge == "None" else "Call[" ~ method.answer ~ "]" }}: ...
    {% endfor %}
    {% endfor %}
    {% for method in methods if method.shape in ["events", "subscription"] %}
    def {{ method.name }}(
        self,
        {% for name, type in method.parameters %}
        {{ name }}: {{ type }},
        {% endfor %}
    ) -> {{ method.answer }}: ...
    {% endfor %}

{% for method in methods if method.shape == "open" %}
{% for bridge in ["None", "Bridge"] %}
@overload
def {{ method.name }}(
    bridge: {{ bridge }},
    {% for name, type in method.parameters %}
    {% if " | None" in type %}
    {{ name }}: {{ type }} = None,
    {% else %}
    {{ name }}: {{ type }},
    *,
    {% endif %}
    {% endfor %}
) -> {{ method.answer if bridge == "None" else "Call[" ~ method.answer ~ "]" }}: ...
{% endfor %}
{% endfor %}
def new_id() -> bytes: ...
def stop() -> None: ...
@overload
def panic_inside(bridge: None) -> None: ...
@overload
def panic_inside(bridge: Bridge) -> Call[None]: ...
