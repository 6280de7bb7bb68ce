"""How far a long work is, on standard error; a short one says nothing."""

import sys
import time

__all__ = ["Progress"]

EVERY_S = 1.0


class Progress:
    def __init__(self, verb: str = "read", things: str = "records") -> None:
        self._verb, self._things = verb, things
        self._told_at = time.monotonic()
        self._open = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._told_at >= EVERY_S:
            self._told_at = now
            self._say(f"{self._verb} {done} of {total} {self._things}")

    def _say(self, line: str) -> None:
        terminal = sys.stderr.isatty()
        print(f"\r{line}" if terminal else line, end="" if terminal else "\n", file=sys.stderr, flush=True)
        self._open = terminal

    def end(self) -> None:
        if self._open:
            print(file=sys.stderr)
            self._open = False
