"""Formatting Kafka's data folder, from a template: the tool costs a second of JVM, copying its outcome nothing."""

import asyncio
import base64
import shutil
import tempfile
import uuid
from pathlib import Path

from sandbox.stack.child import Child
from sandbox.stack.jars import lock_digest
from sandbox.stack.java import java_command, java_environment
from sandbox.stack.readiness import explain_exit

NODE_ID = 1
HEAP_MB = 256
METADATA = "__cluster_metadata-0"
FORMAT_PROPERTIES = f"""\
process.roles=broker,controller
node.id={NODE_ID}
controller.quorum.voters={NODE_ID}@127.0.0.1:9093
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:9092,CONTROLLER://127.0.0.1:9093
log.dirs=log
"""


async def ensure_formatted(data: Path, jars: list[Path], cache: Path, *, log: Path) -> None:
    """Make `data/log` a formatted folder unless it is one; what an interrupted run left is made anew."""
    if (data / "log").exists():
        return
    template = await _template(jars, cache, log=log)
    await asyncio.to_thread(_copy, template, data)


async def _template(jars: list[Path], cache: Path, *, log: Path) -> Path:
    """Return the outcome of Kafka's own tool for these jars: the versions of its features, no ids."""
    template = cache / f"kafka-format-{lock_digest('kafka')}"
    if not template.exists():
        with tempfile.TemporaryDirectory(prefix=".format-", dir=cache) as name:
            folder = Path(name)
            (folder / "format.properties").write_text(FORMAT_PROPERTIES, encoding="ascii")
            await _run_tool(folder, jars, log=log)
            # Another start may have been faster: its outcome is the same.
            if not template.exists():
                (folder / "log" / METADATA).rename(template)
    return template


async def _run_tool(folder: Path, jars: list[Path], *, log: Path) -> None:
    arguments = ("format", "-t", _kafka_id(), "-c", "format.properties")
    command = java_command(jars, "kafka.tools.StorageTool", *arguments, heap_mb=HEAP_MB)
    tool = Child("Kafka's format tool", command, log=log, env=java_environment(), cwd=folder)
    await tool.start()
    try:
        if await tool.exited():
            raise await explain_exit(tool)
    finally:
        await tool.stop(0)


def _copy(template: Path, data: Path) -> None:
    """Copy beside, then rename: a `log` folder is complete or absent."""
    data.mkdir(parents=True, exist_ok=True)
    fresh = data / "log.new"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(template, fresh / METADATA)
    ids = f"cluster.id={_kafka_id()}\ndirectory.id={_kafka_id()}\n"
    (fresh / "meta.properties").write_text(f"version=1\nnode.id={NODE_ID}\n{ids}", encoding="ascii")
    fresh.rename(data / "log")


def _kafka_id() -> str:
    """Return 16 random bytes the way Kafka writes them; a leading dash would look like an option to its tools."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        if not text.startswith("-"):
            return text
