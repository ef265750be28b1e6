"""Refuses to be imported in a subinterpreter.

The native module is one for the process. The end of a subinterpreter would stop its threads under every other store,
and take the Python functions with it that it found there.
"""

from __future__ import annotations

import importlib


def _in_a_subinterpreter() -> bool:
    """Tell whether this is not the main interpreter. Python 3.13 renamed the module that knows."""
    for name in ("_interpreters", "_xxsubinterpreters"):
        try:
            interpreters = importlib.import_module(name)
        except ImportError:
            continue
        return bool(interpreters.get_current() != interpreters.get_main())
    return False


if _in_a_subinterpreter():
    raise ImportError("streamkeep cannot be used in a subinterpreter, only in the main one (with mod_wsgi: WSGIApplicationGroup %{GLOBAL})")
