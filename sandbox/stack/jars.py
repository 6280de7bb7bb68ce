"""The jars of Kafka and of the MongoDB-wire server: which ones (lock files), where they are, how they get there."""

import asyncio
import hashlib
import os
import shutil
import tempfile
import threading
import time
import tomllib
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sandbox.stack.errors import StackError
from sandbox.stack.together import all_or_none

Progress = Callable[[str], None]

PARALLEL = 4  # 60 jars of 0.8 MB: latency counts, more than four only annoys Maven Central
ATTEMPTS = 3  # a refused or broken answer is usually gone a moment later
RETRY_AFTER_S = 0.5
SWEEPS = 50  # half a second; what is left then goes after an hour
LEFTOVER_S = 3600  # a staging folder this old belongs to a process that was killed
STAGING = ".part-"
TITLES = {"kafka": "Kafka", "mongo": "MongoDB-wire"}


@dataclass(frozen=True)
class Jar:
    coordinate: str
    filename: str
    sha256: str


def silent(_line: str) -> None:
    """Tell nobody."""


def default_cache() -> Path:
    """Return `$XDG_CACHE_HOME/hilo`, else `~/.cache/hilo`; an empty HOME counts as none."""
    cache = os.environ.get("XDG_CACHE_HOME")
    home = os.environ.get("HOME")
    if cache:
        return Path(cache) / "hilo"
    return (Path(home) if home else Path(tempfile.gettempdir())) / ".cache" / "hilo"


def locked(name: Literal["kafka", "mongo"]) -> list[Jar]:
    """Read the lock file that `lock.py` wrote."""
    text = Path(__file__).with_name(f"{name}.lock.toml").read_text(encoding="utf-8")
    return [
        Jar(
            coordinate=f"{entry['groupId']}:{entry['artifactId']}:{entry['version']}",
            filename=f"{entry['artifactId']}-{entry['version']}.{entry['packaging']}",
            sha256=entry["sha256"],
        )
        for entry in tomllib.loads(text)["dependencies"]
    ]


def lock_digest(name: Literal["kafka", "mongo"]) -> str:
    """Return what names things that were made from exactly these jars."""
    return hashlib.sha256(repr(locked(name)).encode()).hexdigest()[:16]


async def jar_paths(name: Literal["kafka", "mongo"], cache: Path, progress: Progress = silent) -> list[Path]:
    """Return the jars in class path order, fetching those that are not here with the right content.

    The lock file is the manifest: a jar counts only if its checksum is right (all 60: 50 ms), so neither an
    interrupted download nor a damaged file is ever used, and a complete cache asks nothing of the network.
    """
    folder = cache / "jars"
    jars = locked(name)
    missing = await asyncio.to_thread(lambda: [jar for jar in jars if not _intact(folder, jar)])
    if missing:
        await _fetch(TITLES[name], missing, folder, progress)
    return [folder / jar.filename for jar in jars]


async def _fetch(title: str, missing: list[Jar], folder: Path, progress: Progress) -> None:
    gate, done = asyncio.Semaphore(PARALLEL), 0
    stop = threading.Event()
    staging = _staging(folder)

    async def fetch(jar: Jar) -> None:
        nonlocal done
        async with gate:
            await _detached(lambda: _download(jar, staging, folder, stop))
        done += 1
        progress(f"{title} jars: {done} of {len(missing)}")

    progress(f"{title} jars: fetching {len(missing)} from Maven Central, once")
    try:
        await all_or_none(fetch(jar) for jar in missing)
    finally:
        stop.set()
        _sweep(staging)


def _sweep(staging: Path) -> None:
    """A download that is still being written may put a file back while its folder is taken away."""
    for _ in range(SWEEPS):
        shutil.rmtree(staging, ignore_errors=True)
        if not staging.exists():
            return
        time.sleep(0.01)


def _detached(work: Callable[[], None]) -> asyncio.Future[None]:
    """Run blocking work in a daemon thread: unlike `to_thread`, Ctrl-C does not wait for a stalled connection."""
    outcome: Future[None] = Future()

    def run() -> None:
        if not outcome.set_running_or_notify_cancel():
            return
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - handed to whoever awaits
            outcome.set_exception(error)
        else:
            outcome.set_result(None)

    threading.Thread(target=run, daemon=True).start()
    return asyncio.wrap_future(outcome)


def _download(jar: Jar, staging: Path, folder: Path, stop: threading.Event) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        if stop.is_set():
            return
        try:
            _fetch_once(jar, staging, folder)
        except StackError:
            if attempt == ATTEMPTS:
                raise
        else:
            return
        time.sleep(RETRY_AFTER_S)


def _fetch_once(jar: Jar, staging: Path, folder: Path) -> None:
    """Fetch into the staging folder, check, and only then move into place: the move is atomic."""
    import requests

    try:
        # A folder per attempt: jgo takes the half jar of a broken connection for a whole one.
        fetched = _from_maven_central(jar, Path(tempfile.mkdtemp(dir=staging)))
        if _digest(fetched) == jar.sha256:
            fetched.replace(folder / jar.filename)
            return
    except requests.RequestException as error:
        raise StackError(
            "Maven Central cannot be reached: check the network (or HTTPS_PROXY), then start again; "
            "what has arrived is kept."
        ) from error
    except RuntimeError as error:  # jgo's word for any answer but 200
        raise StackError(
            f"Maven Central did not hand out {jar.filename}: start again in a minute; what has arrived is kept."
        ) from error
    except OSError as error:  # after RequestException, which is one too
        raise _unwritable(folder, error) from error
    raise StackError(
        f"Maven Central sent a {jar.filename} with a wrong checksum: "
        "look for a proxy that rewrites downloads, then start again."
    )


def _from_maven_central(jar: Jar, repository: Path) -> Path:
    from jgo.maven import MavenContext

    context = MavenContext(repo_cache=repository)
    fetched: Path = context.create_dependency(jar.coordinate).artifact.resolve()
    return fetched


def _staging(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(f"{STAGING}*"):
            if time.time() - leftover.stat().st_mtime > LEFTOVER_S:
                shutil.rmtree(leftover, ignore_errors=True)
        return Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> StackError:
    return StackError(
        f"{folder} cannot be written ({error.strerror}): set XDG_CACHE_HOME to a folder that can, with 120 MB free."
    )


def _intact(folder: Path, jar: Jar) -> bool:
    path = folder / jar.filename
    return path.is_file() and _digest(path) == jar.sha256


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
