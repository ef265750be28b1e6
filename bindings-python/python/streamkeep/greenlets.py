"""Notices libraries that replace Python's blocking calls, and so expect every wait to let other greenlets go on."""

from __future__ import annotations

import sys
import warnings
from typing import Final

# Each library's module that patches, and its function that tells whether a module of Python is patched.
_PATCHERS: Final = {"gevent": ("gevent.monkey", "is_module_patched"), "eventlet": ("eventlet.patcher", "is_monkey_patched")}
_PATCHED: Final = ("socket", "select", "time", "threading", "thread")

_warned: set[str] = set()


def warn_of_greenlets() -> None:
    """Warn once if this process is monkey-patched: a blocking call of a store stops all its greenlets."""
    for library, (module, told) in _PATCHERS.items():
        if library in _warned or module not in sys.modules:
            continue
        is_patched = getattr(sys.modules[module], told, None)
        if is_patched is not None and any(is_patched(name) for name in _PATCHED):
            _warned.add(library)
            warnings.warn(
                f"{library} has patched this process, but it does not see the waits of an EventStore: each blocking call stops all "
                f"greenlets until it returns, a subscription for as long as no event comes. Use AsyncEventStore, or call the store in "
                f"{library}'s thread pool.",
                RuntimeWarning,
                stacklevel=3,
            )
