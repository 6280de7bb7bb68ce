"""What a sandbox writes down of itself, for `hilo demo` and for a shell, and what it takes away again."""

import os
import subprocess
from pathlib import Path

import pytest
import typer

from sandbox import commands
from sandbox.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    data = tmp_path / "it's my [data]"
    data.mkdir()
    return Layout(
        str(data), pid=os.getpid(), kafka_servers="127.0.0.1:19092", mongodb_uri="mongodb://127.0.0.1:1/?a=b&c"
    )


def test_a_shell_that_reads_the_file_has_every_setting_and_finds_hilo(layout: Layout, tmp_path: Path) -> None:
    layout.write(tmp_path / "state.json")
    shell = ["sh", "-c", '. "$0" && command -v hilo >&2 && env -0', str(layout.env_file)]
    ran = subprocess.run(  # noqa: S603
        shell, env={"PATH": os.defpath}, capture_output=True, text=True, check=True
    )
    told = dict(line.split("=", 1) for line in ran.stdout.split("\0") if line)
    assert layout.environment("hilo").items() <= told.items()
    assert ran.stderr.strip().endswith("/hilo")
    assert layout.env_file.stat().st_mode & 0o077 == 0, "there are tokens in it"


def test_what_it_wrote_goes_with_it(layout: Layout, tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    layout.write(state)
    layout.forget(state)
    layout.forget(state)
    assert [one.exists() for one in (state, layout.env_file)] == [False, False]


def test_another_sandbox_s_place_stays_written_down(layout: Layout, tmp_path: Path) -> None:
    state, other = tmp_path / "state.json", Layout(str(tmp_path), pid=os.getppid())
    layout.write(state)
    other.write(state)
    layout.forget(state)
    assert Layout.read(state) == other


def test_servers_of_another_sandbox_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    monkeypatch.setenv("MONGODB_URI", "mongodb://db")
    monkeypatch.delenv("HILO_CLOCK_FILE", raising=False)
    assert commands._given() == {"kafka": "kafka:9092", "mongo": "mongodb://db"}
    monkeypatch.setenv("HILO_CLOCK_FILE", "some/sandbox/clock")
    assert commands._given() == {"kafka": None, "mongo": None}


@pytest.mark.parametrize(("code", "stays"), [(0, False), (130, False), (1, True), (2, True)])
def test_logs_of_a_failure_stay(code: int, stays: bool, capsys: pytest.CaptureFixture[str]) -> None:
    folder = commands._folder(None)
    data = folder.__enter__()
    (data / "logs").mkdir()
    folder.__exit__(typer.Exit, typer.Exit(code), None)
    assert (data.exists(), f"logs: {data}/logs" in capsys.readouterr().err) == (stays, stays)
    if stays:
        (data / "logs").rmdir()
        data.rmdir()


def test_a_failure_without_logs_leaves_nothing() -> None:
    folder = commands._folder(None)
    data = folder.__enter__()
    folder.__exit__(typer.Exit, typer.Exit(2), None)
    assert not data.exists()


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "README.md").write_text("")
    with pytest.raises(typer.Exit) as ended:
        commands._folder(tmp_path / "README.md").__enter__()
    assert (ended.value.exit_code, "README.md: File exists" in capsys.readouterr().err) == (2, True)
