"""The process of the embedded MongoDB-wire server: `python -m sandbox.stack.mongo_host --port … --data … --jars …`.

mongo-java-server in this process' JVM, with H2's file store opened by us so that a write is on disk after about 1 ms.
Ends with 0 on SIGTERM or SIGINT, with the store closed.
"""

import argparse
import os
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from sandbox.stack.java import LEAN, LOGGING, QUIET, jvm_library
from sandbox.stack.ports import HOST

jpype: Any = import_module("jpype")  # its annotations are partial, and what it returns is Java's
HEAP_MB = 768
CACHE_MB = 256  # H2's own 16 hold some 3,000 turns: then every look at an index reads a page and builds it again
COMMIT_DELAY_MS = 1  # H2Backend(path) leaves 1 s: kill -9 then loses up to 1.2 s of acknowledged writes, now 10 ms
STORE = "store.mv"
STOPPING = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP}


def start_jvm(jars: list[str]) -> None:
    # -Xrs: the JVM would otherwise take SIGTERM for itself and end without closing the store.
    options = (f"-Xmx{HEAP_MB}m", "-Xrs", *LEAN, *QUIET, *LOGGING)
    jpype.startJVM(*options, jvmpath=str(jvm_library()), classpath=jars, convertStrings=False)


def open_store(path: Path) -> Any:
    builder = jpype.JClass("org.h2.mvstore.MVStore$Builder")()
    store = builder.fileName(str(path)).cacheSize(CACHE_MB).open()
    store.setAutoCommitDelay(COMMIT_DELAY_MS)
    return store


def announced_version() -> Any:
    """Return MongoDB 4.4 (wire version 9): the server's own choice, 8, is refused by PyMongo 4.20."""

    class Version:
        def getVersionArray(self) -> Any:  # noqa: N802 - Java's name
            integers = map(jpype.JClass("java.lang.Integer").valueOf, (4, 4, 0))
            return jpype.JClass("java.util.List").of(*integers)

        def getWireVersion(self) -> int:  # noqa: N802 - Java's name
            return 9

        def toVersionString(self) -> str:  # noqa: N802 - Java's name
            return "4.4.0"

    # A proxy around the object does what @JImplements does, without decorators that hide types.
    return jpype.JProxy("de.bwaldvogel.mongo.MongoVersion", inst=Version())


def serve(port: int, data: Path) -> None:
    """Serve until a stopping signal arrives; they must be blocked in every thread."""
    store = open_store(data / STORE)
    backend = jpype.JClass("de.bwaldvogel.mongo.backend.h2.H2Backend")(store)
    backend.version(announced_version())
    server = jpype.JClass("de.bwaldvogel.mongo.MongoServer")(backend)
    server.bind(HOST, port)
    signal.sigwait(STOPPING)
    server.shutdownNow()
    store.close()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--jars", required=True, help="class path")
    arguments = parser.parse_args()
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING)
    start_jvm(arguments.jars.split(os.pathsep))
    try:
        serve(arguments.port, arguments.data)
    except Exception as error:  # noqa: BLE001 - the last line of the log says why; Java's are not all known here
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        sys.stderr.flush()
        os._exit(1)
    # Not sys.exit: taking down the JVM in order takes seconds, and the store is closed.
    os._exit(0)


if __name__ == "__main__":
    main()
