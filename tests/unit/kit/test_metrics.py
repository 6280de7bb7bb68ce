"""Every metric that is defined is used, and every one that is used is defined, with its labels."""

import ast
from pathlib import Path
from typing import get_args

import pytest

from kit.metrics import DEFINITIONS, MetricName, Metrics

ROOT = Path(__file__).parents[3]
PACKAGES = ("kit", "ingress", "processor", "sender", "janitor", "ops")
METHODS = {"count": "counter", "observe": "histogram", "set": "gauge"}


def uses() -> list[tuple[str, str, str, frozenset[str]]]:
    """(place, method, metric, labels) of every call that counts, observes or sets."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                    continue
                name = node.args[0]
                if node.func.attr in METHODS and isinstance(name, ast.Constant) and str(name.value).startswith("hilo_"):
                    labels = frozenset(keyword.arg or "" for keyword in node.keywords)
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node.func.attr, str(name.value), labels))
    return found


USES = uses()


def test_names_and_definitions_are_the_same_list() -> None:
    assert tuple(DEFINITIONS) == get_args(MetricName)


def test_every_defined_metric_is_used() -> None:
    assert set(DEFINITIONS) - {name for _, _, name, _ in USES} == set()


@pytest.mark.parametrize(("place", "method", "name", "labels"), USES, ids=[f"{use[2]}@{use[0]}" for use in USES])
def test_a_use_fits_its_definition(place: str, method: str, name: MetricName, labels: frozenset[str]) -> None:
    definition = DEFINITIONS[name]
    assert (METHODS[method], frozenset(definition.labels)) == (definition.kind, labels), place


@pytest.mark.parametrize("name", DEFINITIONS)
def test_a_definition_is_well_named_and_explained(name: MetricName) -> None:
    definition = DEFINITIONS[name]
    ending = {"counter": "_total", "histogram": "_seconds", "gauge": ""}[definition.kind]
    assert name.startswith("hilo_")
    assert name.endswith(ending)
    assert definition.about
    assert not {"contact", "event_id", "turn_id", "conversation", "send"} & set(definition.labels)


def test_what_was_counted_is_in_the_exposition() -> None:
    metrics = Metrics()
    metrics.count("hilo_sends_total", outcome="ACCEPTED")
    metrics.observe("hilo_sweep_seconds", 0.25)
    text = metrics.text().decode()
    assert 'hilo_sends_total{outcome="ACCEPTED"} 1.0' in text
    assert "hilo_sweep_seconds_sum 0.25" in text


def test_two_processes_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.count("hilo_close_requests_total")
    assert other.registry.get_sample_value("hilo_close_requests_total") == 0
