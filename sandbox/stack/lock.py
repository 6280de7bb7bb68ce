"""Writes the lock files of the jars: `python -m sandbox.stack.lock`, by hand, when a version changes.

Only this asks which jars a server needs; every other start takes what the lock files say.
"""

import dataclasses
import tempfile
from pathlib import Path

from jgo.env import LockFile
from jgo.maven import MavenContext
from jgo.parse import Coordinate

# Kafka brings no logging backend: without one it dies silently. slf4j-simple writes to our log file.
ROOTS = {
    "kafka": ("org.apache.kafka:kafka_2.13:4.4.0", "org.slf4j:slf4j-simple:1.7.36"),
    "mongo": ("de.bwaldvogel:mongo-java-server-h2-backend:1.47.0", "org.slf4j:slf4j-simple:2.0.17"),
}


def lock(name: str, cache: Path) -> LockFile:
    """Resolve a set afresh; downloads all of its jars into `cache` to learn their checksums."""
    context = MavenContext(repo_cache=cache)
    wanted = [
        context.create_dependency(dataclasses.replace(Coordinate.parse(root), scope="compile")) for root in ROOTS[name]
    ]
    roots, others = context.resolver.resolve(wanted)
    needed = [*roots, *(each for each in others if each.scope in {"compile", "runtime"})]
    return LockFile.from_resolved_dependencies(needed, environment_name=name)


def main() -> None:
    with tempfile.TemporaryDirectory() as cache:
        for name in ROOTS:
            lock(name, Path(cache)).save(Path(__file__).with_name(f"{name}.lock.toml"))


if __name__ == "__main__":
    main()
