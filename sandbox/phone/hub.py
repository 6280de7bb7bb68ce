"""What every open page is told, as server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

__all__ = ["Hub"]

WAITING = 1_000  # events that a page may be behind; then it is cut off, comes again and gets everything
HEARTBEAT_S = 10.0
AGAIN_MS = 500


class Hub:
    """A page gets the whole state first, then what changes: it may come and go as it likes."""

    def __init__(self) -> None:
        self._pages: set[asyncio.Queue[str | None]] = set()
        self._closed = False

    def tell(self, event: str, data: Any) -> None:
        for page in list(self._pages):
            try:
                page.put_nowait(_line(event, data))
            except asyncio.QueueFull:
                self._pages.discard(page)
                page.get_nowait()
                page.put_nowait(None)

    async def listen(self, everything: Callable[[], Any]) -> AsyncIterator[str]:
        if self._closed:
            return
        page: asyncio.Queue[str | None] = asyncio.Queue(WAITING)
        self._pages.add(page)
        try:
            yield f"retry: {AGAIN_MS}\n" + _line("all", everything())
            while True:
                try:
                    line = await asyncio.wait_for(page.get(), HEARTBEAT_S)
                except TimeoutError:
                    line = ": still here\n\n"
                if line is None:
                    return
                yield line
        finally:
            self._pages.discard(page)

    def close(self) -> None:
        """Ends every stream; a server that stops would wait for them."""
        self._closed = True
        for page in self._pages:
            while page.full():
                page.get_nowait()
            page.put_nowait(None)


def _line(event: str, data: Any) -> str:
    return f"event: {event}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
