"""The watchdog, on a process of its own: it ends it."""

import asyncio
import sys

BLOCK = """
import asyncio, time
from kit.watchdog import Watchdog

async def main():
    dog = Watchdog(limit_s=0.3)
    await dog.start()
    await asyncio.sleep(0)
    {then}
    await dog.stop()

asyncio.run(main())
"""


async def run(then: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", BLOCK.format(then=then), stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    return process.returncode, errors.decode()


async def test_a_blocked_loop_ends_the_process_with_the_stack_that_blocked_it() -> None:
    code, errors = await run("(lambda: time.sleep(30))()")
    assert code == 1
    assert "Timeout" in errors
    assert "in main" in errors


async def test_a_loop_that_turns_is_left_alone_and_stopping_disarms_it() -> None:
    assert await run("pass") == (0, "")
