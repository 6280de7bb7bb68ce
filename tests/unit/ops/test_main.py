"""`hilo SERVICE` starts a service and loads nothing that only commands, or nobody, needs: a cold start is imports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

START = """
import json, sys, time
from ops.main import main
sys.argv = ["hilo", sys.argv[1]]
try:
    main()
except SystemExit as end:
    print(json.dumps({"code": end.code, "cpu_s": time.process_time(), "loaded": sorted(sys.modules)}))
"""
NEEDLESS = ("typer", "ops.cli", "opentelemetry.sdk", "opentelemetry.exporter", "psutil", "requests")
NEEDLESS_TOO = ("twilio.rest", "jinja2", "sandbox")
MOST_CPU_S = 6.0  # of 1.3 to 2.0 measured on a busy machine; a second interpreter's worth of imports is far above


@pytest.mark.parametrize("service", ["ingress", "processor", "sender", "janitor"])
def test_a_start_loads_only_what_the_service_needs(service: str, tmp_path: Path) -> None:
    root = str(Path(__file__).parents[3])
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": root}  # no setting at all: it ends before it connects
    command = [sys.executable, "-c", START, service]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)  # noqa: S603
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["code"] == 2
    assert f"{service}: " in done.stderr
    assert f"{service}.app" in told["loaded"]
    assert [one for one in (*NEEDLESS, *NEEDLESS_TOO) if one in told["loaded"]] == []
    assert told["cpu_s"] < MOST_CPU_S
