"""Each alert is well-formed, has a runbook, fires when its fault is there, and not on a good day (by promtool)."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.deploy.promql import faults, promtool

ROOT = Path(__file__).parents[3]
RULES = ROOT / "deploy" / "prometheus" / "alerts.yml"
ALERTS: list[dict[str, Any]] = [
    rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]
]
MINUTES = 90
AT = 60

# A good day: name and labels → what it is after each minute, in promtool's notation (`0+6x90`: 6 more each minute).
GOOD = {
    **{f'hilo_info{{service="{one}",instance="{one}"}}': "1x90" for one in ("ingress", "processor", "sender")},
    'hilo_info{service="janitor",instance="janitor"}': "1x90",
    'process_start_time_seconds{instance="processor"}': "1000x90",
    'hilo_loop_lag_seconds_bucket{instance="processor",le="0.005"}': "0+60x90",
    'hilo_loop_lag_seconds_bucket{instance="processor",le="5"}': "0+60x90",
    'hilo_loop_lag_seconds_bucket{instance="processor",le="+Inf"}': "0+60x90",
    'hilo_webhooks_total{route="/webhook/twilio/incoming",status="200"}': "0+600x90",
    'hilo_webhooks_total{route="/webhook/twilio/incoming",status="403"}': "0+1x90",
    'hilo_signatures_refused_total{route="/webhook/twilio/incoming"}': "0+1x90",
    'hilo_publish_failures_total{topic="contact.log"}': "3x90",
    'hilo_group_lag{group="processor",topic="contact.log",partition="0"}': "0 5 3 0 7 2 0x85",
    'hilo_group_offset{group="processor",topic="contact.log",partition="0"}': "0+40x90",
    'hilo_lane_oldest_seconds{topic="contact.log",partition="0"}': "2x90",
    'hilo_lane_frozen{topic="contact.log"}': "0x90",
    'hilo_throttled{topic="contact.log"}': "0x90",
    'hilo_dead_letters_total{topic="contact.log",reason="undecodable"}': "4x90",
    'hilo_invariant_broken{invariant="parts_are_tried"}': "0x90",
    'hilo_answer_seconds_bucket{le="5"}': "0+590x90",
    'hilo_answer_seconds_bucket{le="10"}': "0+600x90",
    'hilo_answer_seconds_bucket{le="20"}': "0+600x90",
    'hilo_answer_seconds_bucket{le="40"}': "0+600x90",
    'hilo_answer_seconds_bucket{le="+Inf"}': "0+600x90",
    "hilo_answer_seconds_count": "0+600x90",
    'hilo_turns_total{outcome="replied"}': "0+600x90",
    'hilo_turns_total{outcome="apologised"}': "0+2x90",
    'hilo_agent_attempts_total{result="answered"}': "0+600x90",
    'hilo_agent_attempts_total{result="timeout"}': "0+3x90",
    'hilo_sends_total{outcome="ACCEPTED",code="none"}': "0+600x90",
    'hilo_sends_total{outcome="REJECTED",code="63024"}': "0+1x90",
    'hilo_statuses_total{status="sent",code="none"}': "0+600x90",
    'hilo_statuses_total{status="undelivered",code="63024"}': "0+6x90",
    'hilo_round_every_seconds{round="sweep"}': "3600x90",
    'hilo_round_ended{round="sweep"}': "0x59 3600x30",
}
NEW = "_x55 1x35"
"""A counter whose first event makes its series."""
BAD: dict[str, dict[str, str | None]] = {
    "ServiceDown": {'hilo_info{service="janitor",instance="janitor"}': "1x50"},
    "ServiceRestarts": {'process_start_time_seconds{instance="processor"}': "1000x50 2000 3000 4000x40"},
    "EventLoopStalls": {'hilo_loop_lag_seconds_bucket{instance="processor",le="0.005"}': "0+50x90"},
    "WebhooksFail": {'hilo_webhooks_total{route="/webhook/twilio/incoming",status="503"}': "0+12x90"},
    "SignaturesRefused": {'hilo_signatures_refused_total{route="/webhook/twilio/incoming"}': "0+300x90"},
    "PublishingFails": {'hilo_publish_failures_total{topic="contact.log"}': "0+5x90"},
    "NoticesNotPublished": {'hilo_publish_failures_total{topic="system.notices"}': "0+5x90"},
    "PartitionStuck": {
        'hilo_group_lag{group="sender",topic="message.outbound",partition="7"}': "0+1x90",
        'hilo_group_offset{group="sender",topic="message.outbound",partition="7"}': "40x90",
    },
    "RecordsLate": {'hilo_lane_oldest_seconds{topic="message.outbound",partition="3"}': "0+60x90"},
    "PartitionFrozen": {'hilo_lane_frozen{topic="contact.log"}': "0x50 1x40"},
    "DependencyAway": {'hilo_throttled{topic="contact.log"}': "0x50 1x40"},
    "DeadLetters": {'hilo_dead_letters_total{topic="contact.log",reason="exhausted"}': NEW},
    "InvariantBroken": {'hilo_invariant_broken{invariant="parts_are_tried"}': "0x50 2x40"},
    "AnswersSlow": {f'hilo_answer_seconds_bucket{{le="{le}"}}': "0+580x90" for le in (5, 10, 20)},
    "ApologiesMany": {'hilo_turns_total{outcome="apologised"}': "0+60x90"},
    "AgentUnavailable": {
        'hilo_agent_attempts_total{result="answered"}': "0+600x50 30000x40",
        'hilo_agent_attempts_total{result="transient"}': "0+60x90",
    },
    "AgentRefusesUs": {'hilo_agent_attempts_total{result="quota"}': NEW},
    "TwilioRefusesUs": {'hilo_sends_total{outcome="CONFIG",code="20003"}': NEW},
    "SendAlarm": {'hilo_send_alarms_total{code="63051"}': NEW},
    "MessagesUndelivered": {'hilo_statuses_total{status="undelivered",code="63024"}': "0+120x90"},
    "SendsUncertain": {'hilo_sends_repeated_total{end="uncertain"}': NEW},
    "JanitorRoundLate": {'hilo_round_ended{round="sweep"}': "-10000x90"},
}
# The same fault, another face of it.
MORE: list[tuple[str, dict[str, str | None]]] = [
    ("ServiceDown", {'hilo_info{service="ingress",instance="ingress"}': None}),
    ("DeadLetters", {'hilo_dead_letters_total{topic="contact.log",reason="undecodable"}': "4x55 5x35"}),
    ("AgentUnavailable", {
        'hilo_agent_attempts_total{result="answered"}': None,
        'hilo_agent_attempts_total{result="transient"}': "0+60x90",
    }),
]  # fmt: skip


def test_every_alert_has_a_fault_that_shows_it() -> None:
    assert [one["alert"] for one in ALERTS] == list(BAD)


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one["alert"])
def test_an_alert_asks_for_what_we_export(alert: dict[str, Any]) -> None:
    assert list(faults(alert["expr"])) == []


@pytest.mark.parametrize(
    ("expression", "fault"),
    [
        ("rate(hilo_turn_total[5m])", "no metric hilo_turn_total"),
        ("hilo_turn_seconds > 1", "no metric hilo_turn_seconds"),
        ('hilo_turns_total{outcome="sorry"}', "hilo_turns_total has no outcome sorry"),
        ('hilo_turns_total{end="once"}', "hilo_turns_total has no label end"),
        ("sum by (topic) (hilo_turns_total)", "no label topic"),
    ],
)
def test_an_expression_that_nothing_answers_is_found(expression: str, fault: str) -> None:
    assert list(faults(expression)) == [fault]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda one: one["alert"])
def test_an_alert_says_how_bad_it_is_and_what_to_do(alert: dict[str, Any]) -> None:
    assert alert["labels"] == {"severity": alert["labels"]["severity"]}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"].endswith(".")
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    headings = re.findall(r"^## (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert anchor in {one.lower().replace(" ", "-") for one in headings}


def test_every_section_of_the_runbooks_belongs_to_an_alert() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
    assert headings == [one["alert"] for one in ALERTS]


def firing(series: dict[str, str | None], folder: Path) -> str:
    """Nothing if only the alert that `folder` is named after fires at `AT` minutes, else what promtool says."""
    given = {name: values for name, values in {**GOOD, **series}.items() if values is not None}
    wanted = [] if folder.name == "good" else [{"labels": f'{{alertname="{folder.name}"}}', "value": 1}]
    fires = 'count by (alertname) (count by (alertname) (ALERTS{alertstate="firing"}))'
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in given.items()],
        "promql_expr_test": [{"expr": fires, "eval_time": f"{AT}m", "exp_samples": wanted}],
    }
    path = folder / "test.yml"
    path.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [test]}))
    ran = promtool("test", "rules", str(path))
    return "" if ran.returncode == 0 else ran.stdout + ran.stderr


def named(tmp_path: Path, name: str) -> Path:
    folder = tmp_path / name
    folder.mkdir()
    return folder


def test_the_rules_parse() -> None:
    ran = promtool("check", "rules", "--lint-fatal", str(RULES))
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_on_a_good_day_nobody_is_woken(tmp_path: Path) -> None:
    assert firing({}, named(tmp_path, "good")) == ""


@pytest.mark.parametrize(("alert", "series"), [*BAD.items(), *MORE])
def test_a_fault_fires_its_alert_and_no_other(alert: str, series: dict[str, str | None], tmp_path: Path) -> None:
    assert firing(series, named(tmp_path, alert)) == ""
