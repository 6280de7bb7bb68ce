"""A child process that leaves nothing behind: its own group, a log file, a death tied to ours."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

LEASH = Path(__file__).with_name("leash.py")
LOG_KEEP_BYTES = 8 << 20  # a kept data folder must not fill the disk: one older log stays beside it
TAIL_BYTES = 64 << 10


class Child:
    """One child process; start it from the main thread.

    It runs in a session of its own, so Ctrl-C in the terminal reaches only us and we decide the order of stopping.
    When we are killed with -9 it dies too: on Linux the kernel ties it to the *thread* that started it, so a thread
    that ends earlier would take it along; elsewhere a pipe does the same (`leash.py`).
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        inherits: Sequence[int] = (),
    ) -> None:
        self.name = name
        self.log = log
        self._command = [str(part) for part in command]
        self._env = env
        self._cwd = cwd
        self._inherits = tuple(inherits)
        self._process: asyncio.subprocess.Process | None = None
        self._log_start = 0
        self._lifeline: int | None = None
        self._buried = False

    @property
    def pid(self) -> int:
        return self._started().pid

    @property
    def returncode(self) -> int | None:
        """Exit code, `None` while it runs; minus the signal's number when a signal ended it."""
        return self._started().returncode

    async def start(self) -> None:
        """Start the command; raises `OSError` only if this machine cannot start any process."""
        output = self._open_log()
        watched = sys.platform != "linux"
        ours = theirs = None
        try:
            if watched:
                theirs, ours = os.pipe()
            self._process = await asyncio.create_subprocess_exec(
                *self._leashed(theirs),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
                pass_fds=self._inherits if theirs is None else (*self._inherits, theirs),
            )
            self._lifeline, ours = ours, None
        finally:
            for each in (output, ours, theirs):
                if each is not None:
                    os.close(each)

    async def exited(self) -> int:
        """Wait for the end and return the exit code; any number of callers may wait."""
        return await self._started().wait()

    async def stop(self, grace: float) -> int:
        """Send SIGTERM, and SIGKILL to the whole group after `grace` seconds; harmless when it has ended.

        A cancelled stop kills at once and then goes on with the cancellation.
        """
        try:
            self._signal(signal.SIGTERM)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self.exited()
        finally:
            self.kill()
            self._drop_lifeline()
        code = await self.exited()
        self._buried = True
        return code

    def kill(self) -> None:
        """Send SIGKILL to the whole group, also to what an ended command left running."""
        if self._buried:  # the system may have given the number to somebody else
            return
        # EPERM is macOS's answer for a group of zombies.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)

    async def tail(self, lines: int = 20) -> list[str]:
        """Return the last lines that this run (not an earlier one) has written."""
        return await asyncio.to_thread(self._tail, lines)

    def _signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                self._started().send_signal(number)

    def _leashed(self, lifeline: int | None) -> list[str]:
        rope = "-" if lifeline is None else str(lifeline)
        return [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), rope, *self._command]

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise RuntimeError(f"{self.name} has not been started")
        return self._process

    def _open_log(self) -> int:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists() and self.log.stat().st_size > LOG_KEEP_BYTES:
            self.log.replace(self.log.with_suffix(".old.log"))
        handle = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._log_start = os.fstat(handle).st_size
        return handle

    def _drop_lifeline(self) -> None:
        if self._lifeline is not None:
            os.close(self._lifeline)
            self._lifeline = None

    def _tail(self, lines: int) -> list[str]:
        with self.log.open("rb") as log:
            end = log.seek(0, os.SEEK_END)
            log.seek(max(self._log_start, end - TAIL_BYTES))
            text = log.read().decode(errors="replace")
        return [line for line in text.splitlines() if line.strip()][-lines:]
