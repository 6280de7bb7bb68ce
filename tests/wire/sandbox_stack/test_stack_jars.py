"""The jar cache: interrupted, damaged, offline."""

import asyncio
import errno
import os
import shutil
import sys
import threading
from pathlib import Path

import pytest

from sandbox.stack import StackError, jars
from sandbox.stack.jars import Jar, default_cache, jar_paths, locked
from tests.running import eventually

NOWHERE = "http://127.0.0.1:9"


@pytest.fixture
async def cache(tmp_path: Path) -> Path:
    """Return a complete copy of the MongoDB-wire jars, for the test to damage."""
    paths = await jar_paths("mongo", default_cache())
    (tmp_path / "jars").mkdir()
    for path in paths:
        shutil.copy(path, tmp_path / "jars")
    return tmp_path


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, NOWHERE)
    monkeypatch.setattr(jars, "RETRY_AFTER_S", 0)


async def test_a_complete_cache_asks_nothing_of_the_network(cache: Path, offline: None) -> None:
    paths = await jar_paths("mongo", cache)
    assert [path.name for path in paths] == [jar.filename for jar in locked("mongo")]


async def test_maven_central_out_of_reach_is_one_sentence_without_a_host(tmp_path: Path, offline: None) -> None:
    with pytest.raises(StackError) as caught:
        await jar_paths("mongo", tmp_path)
    assert str(caught.value).startswith("Maven Central cannot be reached: check the network")
    assert "127.0.0.1" not in str(caught.value)
    assert "://" not in str(caught.value)
    assert list((tmp_path / "jars").iterdir()) == []


async def test_the_command_ends_with_2_and_that_sentence(tmp_path: Path) -> None:
    environment = {**os.environ, "HTTPS_PROXY": NOWHERE, "https_proxy": NOWHERE, "XDG_CACHE_HOME": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.stack", "--data", str(tmp_path / "data")),
        env=environment,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert errors.decode().splitlines()[-1].startswith("Maven Central cannot be reached")
    assert "Traceback" not in errors.decode()


async def test_missing_and_damaged_jars_are_fetched_again_and_only_those(cache: Path) -> None:
    missing, cut, *_ = sorted((cache / "jars").iterdir())
    whole = cut.read_bytes()
    missing.unlink()
    cut.write_bytes(whole[: len(whole) // 2])
    told: list[str] = []
    await jar_paths("mongo", cache, told.append)
    assert cut.read_bytes() == whole
    assert told[-1] == "MongoDB-wire jars: 2 of 2"


async def test_a_cancelled_download_does_not_wait_and_leaves_no_half_jar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stalled, release = threading.Event(), threading.Event()

    def stall(jar: Jar, staging: Path) -> Path:
        (staging / jar.filename).write_bytes(b"half")
        stalled.set()
        release.wait(30)
        raise RuntimeError("gone")

    monkeypatch.setattr(jars, "_from_maven_central", stall)
    task = asyncio.create_task(jar_paths("mongo", tmp_path))
    await asyncio.to_thread(stalled.wait, 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()

    async def swept() -> bool:
        return list((tmp_path / "jars").iterdir()) == []

    await eventually(swept, "the thread behind it has cleaned up")


async def test_a_wrong_checksum_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forge(jar: Jar, staging: Path) -> Path:
        path = staging / jar.filename
        path.write_bytes(b"forged")
        return path

    monkeypatch.setattr(jars, "_from_maven_central", forge)
    monkeypatch.setattr(jars, "RETRY_AFTER_S", 0)
    with pytest.raises(StackError, match="wrong checksum"):
        await jar_paths("mongo", tmp_path)
    assert list((tmp_path / "jars").iterdir()) == []


def test_the_cache_follows_xdg_and_survives_an_empty_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert default_cache() == Path("/x/hilo")
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", "/h")
    assert default_cache() == Path("/h/.cache/hilo")
    monkeypatch.setenv("HOME", "")
    assert default_cache().is_absolute()


async def test_a_cache_that_cannot_be_written_is_named_with_the_setting(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StackError, match=r"file/jars cannot be written .* XDG_CACHE_HOME"):
        await jar_paths("mongo", tmp_path / "file")


async def test_a_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(jar: Jar, staging: Path) -> Path:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(jars, "_from_maven_central", full)
    with pytest.raises(StackError, match=r"jars cannot be written \(No space left"):
        await jar_paths("mongo", tmp_path)
