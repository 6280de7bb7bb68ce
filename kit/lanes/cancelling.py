"""Two kinds of cancellation look the same where they are caught."""

import asyncio

__all__ = ["is_ours"]


def is_ours() -> bool:
    """Whether the cancellation is meant for this task, and does not leak out of something inside."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
