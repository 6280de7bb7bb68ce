"""Dashboards are code: what Grafana loads is what the code says, and every query is answered by a metric of ours."""

import importlib.util
import json
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from kit.metric_names import DEFINITIONS
from tests.unit.deploy.promql import faults, promtool

ROOT = Path(__file__).parents[3]
GRAFANA = ROOT / "deploy" / "grafana"
UNITS = {"s", "reqps", "percentunit", "short", "bytes"}  # ids of Grafana's units


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", GRAFANA / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["generate"] = module
    spec.loader.exec_module(module)
    return module


GENERATE = _generator()
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS: list[dict[str, Any]] = [json.loads(path.read_text()) for path in FILES]
TARGETS = [(board["uid"], panel, one) for board in BOARDS for panel in board["panels"] for one in panel["targets"]]
by_name = pytest.mark.parametrize("board", BOARDS, ids=lambda board: board["uid"])


def test_the_files_are_what_the_code_says() -> None:
    wanted = {path: GENERATE.render(one) for path, one in GENERATE.dashboards().items()}
    assert {path: path.read_text() for path in FILES} == wanted, "run `python deploy/grafana/generate.py`"


@pytest.mark.parametrize(("uid", "panel", "target"), TARGETS, ids=[f"{u}-{p['title']}" for u, p, _ in TARGETS])
def test_a_query_asks_for_what_we_export(uid: str, panel: dict[str, Any], target: dict[str, Any]) -> None:
    expression = target["expr"]
    assert list(faults(expression.replace("$__rate_interval", "5m"))) == []
    assert 'instance=~"$instance"' in expression
    for label in target["legendFormat"].split("{{")[1:]:  # a legend names what the query keeps
        assert label.partition("}}")[0] in expression


@by_name
def test_a_dashboard_has_the_shape_that_grafana_loads(board: dict[str, Any]) -> None:
    assert board["uid"].startswith("hilo-")
    assert {type(board[key]) for key in ("title", "schemaVersion", "panels", "templating")} == {str, int, list, dict}
    assert [one["name"] for one in board["templating"]["list"]] == ["datasource", "prefix", "service", "instance"]
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    for panel in board["panels"]:
        assert panel["type"] == "timeseries"
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
        assert [one["refId"] for one in panel["targets"]] == ["A", "B", "C"][: len(panel["targets"])]
        assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}


@by_name
def test_no_panel_lies_on_another(board: dict[str, Any]) -> None:
    taken = Counter(
        (x, y)
        for at in (panel["gridPos"] for panel in board["panels"])
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    )
    assert set(taken.values()) == {1}
    assert max(x for x, _ in taken) < 24


def test_uids_are_stable_and_their_own() -> None:
    names = ["hilo-agent", "hilo-ingress", "hilo-lanes", "hilo-overview", "hilo-sends"]
    assert [board["uid"] for board in BOARDS] == names == [path.stem for path in FILES]


def test_every_metric_is_on_a_dashboard_or_in_an_alert() -> None:
    alerts = yaml.safe_load((ROOT / "deploy" / "prometheus" / "alerts.yml").read_text())
    shown = json.dumps(BOARDS) + json.dumps(alerts)
    unseen = {name for name in DEFINITIONS if name not in shown}
    # Stages, rounds and the gauge of what is frozen now tell more of the same.
    assert unseen == {"hilo_turn_seconds", "hilo_sweep_seconds", "hilo_partitions_frozen_total"}


def test_every_query_parses(tmp_path: Path) -> None:
    rules = [
        {"record": f"q:{number}", "expr": one["expr"].replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for number, (_, _, one) in enumerate(TARGETS)
    ]
    path = tmp_path / "queries.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    ran = promtool("check", "rules", str(path))
    assert ran.returncode == 0, ran.stdout + ran.stderr
