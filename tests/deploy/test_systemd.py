"""The units of a plain host: by systemd's own analysis, and by what the services are and need."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit.kafka.subscriber import Timing
from tests.deploy.compose import ROOT, env_file
from tests.deploy.settings import known

UNITS = ROOT / "deploy" / "systemd"
SERVICES = ("ingress", "processor", "sender", "janitor", "console")
PROGRAM = "/opt/hilo/.venv/bin/hilo"
MOST_EXPOSED = 15  # tenths; 1.2 when written. What is left is the network and the host's own root directory
Unit = dict[str, list[str]]


def read(name: str) -> Unit:
    """Setting → its values, in order; sections do not share names here."""
    found: Unit = {}
    for line in (UNITS / name).read_text().splitlines():
        key, sign, value = line.partition("=")
        if sign and not line.startswith("#"):
            found.setdefault(key, []).append(value)
    return found


SERVICE, TOPICS = read("hilo@.service"), read("hilo-topics.service")


@pytest.fixture
def analyze(tmp_path: Path) -> list[str]:
    """systemd's own analysis, over units whose program is there."""
    tool = shutil.which("systemd-analyze")
    if tool is None:
        assert "CI" not in os.environ, "CI has to have it: apt-get install systemd"
        pytest.skip("systemd-analyze is not on this machine")
    hilo = str(Path(sys.executable).with_name("hilo"))
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.target")):
        (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, hilo))
    return [tool]


def told(command: list[str], folder: Path) -> tuple[int, str]:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    return done.returncode, done.stdout + done.stderr


def test_systemd_understands_every_line(analyze: list[str], tmp_path: Path) -> None:
    units = sorted(f"./{one.name}" for one in tmp_path.iterdir())
    code, out = told([*analyze, "verify", "--man=no", *units], tmp_path)
    assert (code, [line for line in out.splitlines() if "hilo" in line]) == (0, [])


@pytest.mark.parametrize("unit", ["hilo@.service", "hilo-topics.service"])
def test_what_a_service_could_harm_is_little(unit: str, analyze: list[str], tmp_path: Path) -> None:
    command = [*analyze, "security", "--offline=true", "--no-pager", f"--threshold={MOST_EXPOSED}", f"./{unit}"]
    code, out = told(command, tmp_path)
    assert code == 0, out
    text = (tmp_path / unit).read_text()
    (tmp_path / unit).write_text(
        re.sub(r"^(ProtectSystem|CapabilityBoundingSet|DynamicUser).*\n", "", text, flags=re.MULTILINE)
    )
    assert told(command, tmp_path)[0] != 0  # the analysis would see it


def test_a_misconfigured_service_stays_down_and_a_crashed_one_comes_back() -> None:
    for unit in (SERVICE, TOPICS):
        assert unit["Restart"] == ["on-failure"]
        assert unit["RestartPreventExitStatus"] == ["2"]
        assert unit["StartLimitIntervalSec"] == ["0"]
        assert unit["EnvironmentFile"][0] == "/etc/hilo/hilo.env"
    assert SERVICE["KillSignal"] == ["SIGTERM"]


def test_a_service_has_time_to_drain() -> None:
    timing = Timing()
    assert int(SERVICE["TimeoutStopSec"][0]) >= timing.drain + 20 + timing.stop


def test_both_units_are_hardened_alike() -> None:
    """From DynamicUser on, line by line."""
    service, topics = ((UNITS / name).read_text() for name in ("hilo@.service", "hilo-topics.service"))
    part = re.compile(r"^DynamicUser=.*?^SystemCallErrorNumber=\S+$", re.MULTILINE | re.DOTALL)
    (hard,) = part.findall(service)
    assert part.findall(topics) == [hard]


def test_the_target_wants_every_service_and_each_has_a_port_of_its_own() -> None:
    wanted = read("hilo.target")["Wants"][0].split()
    assert wanted == [f"hilo@{name}.service" for name in SERVICES]
    assert known().keys() <= set(SERVICES)
    assert SERVICE["ExecStart"] == [f"{PROGRAM} %i"]
    own = {name: env_file(UNITS / f"{name}.env") for name in ("processor", "sender", "janitor")}
    ports = [one["HEALTH_PORT"] for one in own.values()]
    assert len({*ports, "3001", "3002"}) == len(ports) + 2
    asked = dict(one.split("=") for one in env_file(UNITS / "console.env")["CONSOLE_SERVICES"].split(","))
    assert asked == {
        "ingress": "http://127.0.0.1:3001",
        **{name: f"http://127.0.0.1:{one['HEALTH_PORT']}" for name, one in own.items()},
    }
