"""One server per data folder, held by a lock: two Kafkas in one folder destroy its metadata log (seen in 4.4.0)."""

import asyncio
import fcntl
import os
import time
from pathlib import Path

from sandbox.stack.errors import StackError

RELEASE_WITHIN_S = 2.0  # a killed sandbox' servers need a moment to die
POLL_S = 0.05


class DataFolder:
    """A folder that this process has for itself between `claim()` and `release()`.

    The lock is handed to the server too (`handle`), so it also ends no earlier than the server does.
    """

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self._handle: int | None = None

    @property
    def handle(self) -> int:
        if self._handle is None:
            raise RuntimeError(f"{self.path} has not been claimed")
        return self._handle

    async def claim(self) -> None:
        """Create the folder and lock it; harmless when we hold it. Raises `StackError` if another process does."""
        if self._handle is not None:
            return
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.path / "in-use.lock", os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StackError(
                f"{self.path} cannot be written ({error.strerror}): choose another data folder."
            ) from error
        try:
            await self._lock(handle)
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle

    def release(self) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    async def _lock(self, handle: int) -> None:
        deadline = time.monotonic() + RELEASE_WITHIN_S
        while not _locked(handle):
            if time.monotonic() > deadline:
                raise StackError(
                    f"{self.path} is in use by another sandbox: stop that one, or choose another data folder."
                )
            await asyncio.sleep(POLL_S)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
