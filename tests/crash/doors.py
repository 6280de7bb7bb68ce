"""Does a process answer? One that hangs, beside another of its group that works for both, is seen by nothing else."""

from collections.abc import Mapping

import httpx

__all__ = ["answers", "shut"]


async def answers(http: httpx.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx.HTTPError:
        return False


async def shut(http: httpx.AsyncClient, doors: Mapping[str, str]) -> list[str]:
    """Those that are not ready, although nothing has been done to them for a while."""
    return [
        f"{name} is not ready at the end" for name, door in doors.items() if not await answers(http, f"{door}/ready")
    ]
