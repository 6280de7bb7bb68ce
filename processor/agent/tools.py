"""Tools that the agent may call on us. Every call is answered: an agent that waits is a client that waits."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["ESCALATE", "BuiltIn", "Tool", "Toolbox"]

ESCALATE = "escalate_to_human"


@dataclass(frozen=True, slots=True)
class Tool:
    """`run` gets the parameters as the agent chose them; it may be called twice for one thing, as a question can be.

    It is waited for `within_s`, and never beyond the question's own deadline.
    """

    run: Callable[[Mapping[str, Any]], Awaitable[Any]]
    within_s: float = 20


async def _escalate(_parameters: Mapping[str, Any]) -> Any:
    """Answered at once, so that the agent can say goodbye; the turn's outcome is what acts on it."""
    return {"ok": True}


BuiltIn: Mapping[str, Tool] = {ESCALATE: Tool(_escalate)}


class Toolbox:
    """What is called by name. Never raises for what a tool does."""

    def __init__(self, more: Mapping[str, Tool] | None = None) -> None:
        self._tools = {**BuiltIn, **(more or {})}

    async def call(self, name: str, parameters: Mapping[str, Any], left_s: float) -> tuple[Any, bool]:
        """The result, and whether it is an error. A tool's own message stays with us: it may hold anything."""
        tool = self._tools.get(name)
        if tool is None:
            return {"error": f"no tool {name}"}, True
        within_s = min(tool.within_s, max(0.0, left_s))
        try:
            async with asyncio.timeout(within_s):
                return await tool.run(parameters), False
        except TimeoutError:
            return {"error": f"no result within {within_s:.3g} s"}, True
        except Exception as error:  # noqa: BLE001  # whatever it is, the agent has to hear of it
            return {"error": type(error).__name__}, True
