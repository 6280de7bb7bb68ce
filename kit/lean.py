"""structlog and httpx take rich along wherever it is installed: a tenth of a service's cold start, for nothing.

structlog would draw tracebacks with it; ours are text inside of a line (`format_exc_info`), in both of our formats.
httpx has a command line of its own.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["structlog", "without_rich"]

LEFT_OUT = ("rich", "pygments")


@contextmanager
def without_rich() -> Iterator[None]:
    """What is imported inside finds no rich; a command that imports it later does."""
    absent = [name for name in LEFT_OUT if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]  # how the import system is told that there is none
    try:
        yield
    finally:
        for name in absent:
            del sys.modules[name]


with without_rich():
    import structlog
