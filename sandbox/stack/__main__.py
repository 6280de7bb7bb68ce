"""The stack alone: `python -m sandbox.stack` prints the two addresses and runs until SIGINT or SIGTERM."""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sandbox.stack.errors import StackError
from sandbox.stack.stack import Stack

CANNOT_RUN = 2


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def report(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m sandbox.stack", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(".sandbox"), help="folder kept between runs")
    parser.add_argument("--kafka-port", type=int, help="default: any free port")
    parser.add_argument("--mongo-port", type=int, help="default: any free port")
    return parser.parse_args()


async def run(options: argparse.Namespace) -> None:
    """Run until the task is cancelled, which is what a signal does."""
    stack = Stack(
        options.data,
        kafka_port=options.kafka_port,
        mongo_port=options.mongo_port,
        kafka=os.environ.get("KAFKA_BOOTSTRAP_SERVERS"),
        mongo=os.environ.get("MONGODB_URI"),
        progress=report,
    )
    async with stack:
        say(f"KAFKA_BOOTSTRAP_SERVERS={stack.bootstrap_servers}")
        say(f"MONGODB_URI={stack.mongodb_uri}")
        await asyncio.Event().wait()


async def until_signal(options: argparse.Namespace) -> int:
    task = asyncio.create_task(run(options))
    cancel_once: Callable[[], object] = lambda: task.cancelling() or task.cancel()  # noqa: E731
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, cancel_once)
    try:
        await task
    except asyncio.CancelledError:
        return 0
    except StackError as error:
        report(str(error))
        return CANNOT_RUN
    return 0


if __name__ == "__main__":
    sys.exit(asyncio.run(until_signal(parsed())))
