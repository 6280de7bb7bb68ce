"""What the phone may do to the sandbox it runs in."""

from collections.abc import Callable
from typing import Any, Protocol

__all__ = ["Lives", "Machine"]


class Lives(Protocol):
    changed: Callable[[dict[str, Any]], None]

    def stories(self) -> list[dict[str, Any]]: ...


class Machine(Protocol):
    @property
    def lives(self) -> Lives: ...

    def kill(self, part: str) -> None:
        """Kill -9; it is started again. Raises KeyError for what is no service."""
        ...

    async def restart(self, part: str) -> None:
        """By SIGTERM. Raises KeyError for what is not ours to restart."""
        ...
