"""Every metric that is defined is used, and every one that is used is defined, with its labels."""

import ast
import re
from pathlib import Path
from typing import get_args

import pytest

from kit.metric_names import DEFINITIONS, NOTICES, STATUSES, MetricName
from kit.metrics import DOCUMENT, Metrics, document
from sender.effects import RANK
from sender.outcomes import TABLE, label

ROOT = Path(__file__).parents[3]
PACKAGES = ("kit", "ingress", "processor", "sender", "janitor", "ops")
METHODS = {"count": "counter", "observe": "histogram", "set": "gauge"}


def calls() -> list[tuple[str, ast.Call]]:
    """(place, call) of everything that counts, observes or sets."""
    found = []
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
                    continue
                name = node.args[0]
                if node.func.attr in METHODS and isinstance(name, ast.Constant) and str(name.value).startswith("hilo_"):
                    found.append((f"{path.relative_to(ROOT)}:{node.lineno}", node))
    return found


def uses() -> list[tuple[str, str, str, frozenset[str]]]:
    """(place, method, metric, labels). `**at` stands for a partition, with its topic and perhaps its group."""
    found: list[tuple[str, str, str, frozenset[str]]] = []
    for place, node in calls():
        labels = {keyword.arg for keyword in node.keywords if keyword.arg}
        name: MetricName = node.args[0].value  # type: ignore[attr-defined]
        if any(keyword.arg is None for keyword in node.keywords):
            labels |= set(DEFINITIONS[name].labels) & {"group", "topic", "partition"}
        found.append((place, node.func.attr, name, frozenset(labels)))  # type: ignore[attr-defined]
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
    metrics.count("hilo_sends_total", outcome="ACCEPTED", code="none")
    metrics.observe("hilo_sweep_seconds", 0.25)
    text = metrics.text().decode()
    assert 'hilo_sends_total{code="none",outcome="ACCEPTED"} 1.0' in text
    assert "hilo_sweep_seconds_sum 0.25" in text


def test_the_document_is_what_the_code_says() -> None:
    assert DOCUMENT.read_text() == document(), "run `python -m kit.metrics`"


@pytest.mark.parametrize("name", DEFINITIONS)
def test_no_label_takes_any_value(name: MetricName) -> None:
    for bound in DEFINITIONS[name].labels.values():
        assert isinstance(bound, frozenset) or not any(bound.fullmatch(one) for one in ("x" * 65, "+34600111222"))


def test_a_value_that_nobody_has_written_down_is_other() -> None:
    metrics = Metrics()
    metrics.count("hilo_sends_total", outcome="ACCEPTED", code="+34600111222")
    metrics.count("hilo_turns_total", outcome="sm123")
    text = metrics.text().decode()
    assert 'hilo_sends_total{code="other",outcome="ACCEPTED"} 1.0' in text
    assert 'hilo_turns_total{outcome="other"} 1.0' in text
    assert "600111222" not in text


def _branches(node: ast.expr) -> list[ast.expr]:
    return [*_branches(node.body), *_branches(node.orelse)] if isinstance(node, ast.IfExp) else [node]


def constants() -> list[tuple[str, str, str, str]]:
    """(place, metric, label, value) of every label that is a constant where it is counted, either one of two too."""
    return [
        (place, call.args[0].value, keyword.arg or "", str(one.value))  # type: ignore[attr-defined]
        for place, call in calls()
        for keyword in call.keywords
        for one in _branches(keyword.value)
        if isinstance(one, ast.Constant)
    ]


@pytest.mark.parametrize(("place", "name", "label", "value"), constants())
def test_a_constant_label_is_one_of_its_values(place: str, name: MetricName, label: str, value: str) -> None:
    bound = DEFINITIONS[name].labels[label]
    assert value in bound if isinstance(bound, frozenset) else bound.fullmatch(value), place


def test_what_the_services_know_is_what_the_labels_take() -> None:
    assert set(RANK) <= STATUSES
    assert {"ConversationEscalated", "ContactOptedOut", "AgentUnavailable"} <= NOTICES
    outcomes = DEFINITIONS["hilo_turns_total"].labels["outcome"]
    assert isinstance(outcomes, frozenset)
    written = {text for path in (ROOT / "processor").glob("*.py") for text in OUTCOME.findall(path.read_text())}
    assert written - {"to_answer"} == outcomes - {"no_reply", "handed_back"} | {"no_reply"}


OUTCOME = re.compile(r'(?:Draft\(\s*|outcome=)"([a-z_]+)"')


def test_error_codes_are_those_of_twilios_table() -> None:
    assert (label(None), label(63016), label(12345), label(0)) == ("none", "63016", "other", "none")
    code = DEFINITIONS["hilo_sends_total"].labels["code"]
    assert isinstance(code, re.Pattern)
    assert all(code.fullmatch(label(one)) for one in TABLE)
    counted = {ast.unparse(one.value) for _, call in calls() for one in call.keywords if one.arg == "code"}
    assert all(one == "'none'" or one.startswith("label(") for one in counted), counted


def test_series_of_a_partition_that_left_are_gone() -> None:
    metrics = Metrics()
    metrics.set("hilo_lane_records", 1, topic="contact.log", partition="3")
    metrics.set("hilo_lane_records", 1, topic="call.completed", partition="3")
    metrics.forget("hilo_lane_records", topic="contact.log")
    text = metrics.text().decode()
    assert 'topic="call.completed"} 1.0' in text
    assert 'hilo_lane_records{partition="3",topic="contact.log"}' not in text


def test_two_processes_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.count("hilo_close_requests_total")
    assert other.registry.get_sample_value("hilo_close_requests_total") == 0
