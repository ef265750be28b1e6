"""Log lines of the native core, under the logger `streamkeep` and loggers below it."""

from __future__ import annotations

import _thread
import logging


def write(lines: list[tuple[str, int, str, float]]) -> None:
    """Write lines: logger, level, message, and seconds since 1970. The native module calls it in the middle of calls.

    What a handler or a filter raises keeps no other line from being written. The first error is raised at the end.
    """
    failed: BaseException | None = None
    for name, level, message, created in lines:
        logger = logging.getLogger(name)
        if not logger.isEnabledFor(level):
            continue
        record = logger.makeRecord(name, level, "(streamkeep)", 0, message, (), None)
        record.created = created
        record.msecs = created % 1 * 1000
        try:
            logger.handle(record)
        except KeyboardInterrupt:
            # The call first returns what it did.
            _thread.interrupt_main()
        except BaseException as error:  # noqa: BLE001 raised below
            failed = failed or error
    if failed is not None:
        raise failed
