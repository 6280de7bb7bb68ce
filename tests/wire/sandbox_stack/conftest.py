"""Starts real servers. Jars are fetched once, into the ordinary cache."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable

import pytest


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Awaitable[None]]:
    """Poll until the check holds; a check that does not within the deadline fails the test with `what`."""

    async def poll(check: Callable[[], bool | Awaitable[bool]], what: str, within: float = 10) -> None:
        deadline = time.monotonic() + within
        while True:
            outcome = check()
            if await outcome if isawaitable(outcome) else outcome:
                return
            assert time.monotonic() < deadline, f"not within {within} s: {what}"
            await asyncio.sleep(0.02)

    return poll
