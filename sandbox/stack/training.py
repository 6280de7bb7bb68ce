"""`python -m sandbox.stack.training`: once per machine, makes every later start of Kafka about twice as quick.

Java remembers the classes that a training run loaded and linked, and maps them from a file: ready after 1.1 s instead
of 2.4 s (2 idle cores). It costs 12 s and 66 MB, so nobody pays for it unasked.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

from sandbox.stack.aot import aot_file
from sandbox.stack.errors import StackError
from sandbox.stack.jars import default_cache
from sandbox.stack.kafka import KafkaServer

WRITE_WITHIN_S = 120  # Java writes the file when it ends: 8 s on two idle cores


async def train(cache: Path, folder: Path) -> Path:
    """Run a Kafka in `folder` and keep what Java has learnt; harmless to repeat or to interrupt."""
    fresh = folder / "kafka.aot"
    server = KafkaServer(folder, cache=cache, jvm_options=[f"-XX:AOTCacheOutput={fresh}"])
    try:
        await server.start()
    finally:
        await server.stop(WRITE_WITHIN_S)
    try:
        return fresh.replace(aot_file(cache))
    except FileNotFoundError:
        raise StackError("Java wrote no ahead-of-time cache: all works without it, only slower.") from None


def main() -> None:
    cache = default_cache().absolute()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".training-", dir=cache, ignore_cleanup_errors=True) as folder:
        try:
            sys.stdout.write(f"{asyncio.run(train(cache, Path(folder)))}\n")
        except StackError as error:
            sys.exit(str(error))


if __name__ == "__main__":
    main()
