"""Writes the dashboards: `python deploy/grafana/generate.py`. A test compares them, and every query with our metrics.

Rows of panels, 24 columns wide. A panel is a title, a unit and its queries by their legends. Every query asks for the
processes that are chosen above.
"""

import json
from pathlib import Path
from typing import Any

__all__ = ["DASHBOARDS", "FOLDER", "dashboards", "render"]

FOLDER = Path(__file__).parent / "dashboards"
HEIGHT = 8
Panel = tuple[str, str, dict[str, str]]


def picked(metric: str, **labels: str) -> str:
    pairs = "".join(f', {name}=~"{value}"' for name, value in labels.items())
    return f'{metric}{{instance=~"$instance"{pairs}}}'


def rate(metric: str, by: str = "", **labels: str) -> str:
    grouping = f" by ({by})" if by else ""
    return f"sum{grouping} (rate({picked(metric, **labels)}[$__rate_interval]))"


def quantile(share: float, metric: str, by: str = "", **labels: str) -> str:
    inside = rate(f"{metric}_bucket", f"le, {by}" if by else "le", **labels)
    return f"histogram_quantile({share}, {inside})"


def p99(metric: str, by: str) -> dict[str, str]:
    return {f"{{{{{by}}}}}": quantile(0.99, metric, by)}


def slow(metric: str, **labels: str) -> dict[str, str]:
    return {"p50": quantile(0.5, metric, **labels), "p99": quantile(0.99, metric, **labels)}


def most(metric: str, by: str) -> str:
    return f"max by ({by}) ({picked(metric)})"


def total(metric: str, by: str) -> str:
    return f"sum by ({by}) ({picked(metric)})"


def share(metric: str, of: dict[str, str], all_of: dict[str, str]) -> str:
    return f"{rate(metric, **of)} / {rate(metric, **all_of)}"


def each(metric: str, *labels: str, **matching: str) -> dict[str, str]:
    """A rate for each value of these labels."""
    return {" ".join(f"{{{{{one}}}}}" for one in labels): rate(metric, ", ".join(labels), **matching)}


ANSWERED = {"outcome": "replied|no_reply|escalated|apologised"}
SHOWN = {"status": "sent|failed|undelivered"}
LOST = {"status": "failed|undelivered"}
ERRORS = {
    "apologies": share("hilo_turns_total", {"outcome": "apologised"}, ANSWERED),
    "not delivered": share("hilo_statuses_total", LOST, SHOWN),
    "webhooks refused by us": share("hilo_webhooks_total", {"status": "5.."}, {}),
}
FLOW = {
    "in": rate("hilo_webhooks_total", route="/webhook/twilio/incoming", status="200"),
    "out": rate("hilo_sends_total", outcome="ACCEPTED"),
}
STILL = {
    "choked {{topic}}": total("hilo_lane_choked", "topic"),
    "frozen {{topic}}": total("hilo_lane_frozen", "topic"),
    "throttled {{topic}}": most("hilo_throttled", "topic"),
}
MOVES = {
    "revoked {{group}}": rate("hilo_rebalances_total", "group"),
    "given back {{group}}": rate("hilo_given_back_total", "group"),
}
REVOKES = {
    "revoke {{group}}": quantile(0.99, "hilo_revoke_seconds", "group"),
    "commit": quantile(0.99, "hilo_commit_seconds"),
}
WASTE = {"stale": rate("hilo_drafts_stale_total"), "unsolicited": rate("hilo_agent_unsolicited_total")}
ASKED = {"closings": rate("hilo_close_requests_total"), "repaired": rate("hilo_repaired_total")}
LAG = {"{{group}}": f"sum by (group) (max by (group, partition) ({picked('hilo_group_lag')}))"}
CPU = {"{{instance}}": f"rate({picked('process_cpu_seconds_total')}[$__rate_interval])"}
PERSONS = "ConversationEscalated|AgentUnavailable"
REFUSED = "REJECTED|CONFIG|NOT_SENT|UNKNOWN"

DASHBOARDS: dict[str, tuple[str, list[list[Panel]]]] = {
    "hilo-overview": ("Hilo: what a client feels", [
        [("From the client's last message to our answer", "s", slow("hilo_answer_seconds")),
         ("Messages in, parts out", "reqps", FLOW),
         ("Errors a client may feel, share", "percentunit", ERRORS)],
        [("Saturation: records not settled", "short", {"{{topic}}": total("hilo_lane_records", "topic")}),
         ("Where the time of a turn goes, p99", "s", p99("hilo_turn_stage_seconds", "stage")),
         ("Thoughts: answered once, after superseded drafts, late", "reqps", each("hilo_thoughts_total", "end"))],
        [("Turns by outcome", "reqps", each("hilo_turns_total", "outcome")),
         ("Notices for the main backend", "reqps", each("hilo_notices_total", "type")),
         ("Invariants broken", "short", {"{{invariant}}": most("hilo_invariant_broken", "invariant")})],
        [("CPU", "short", CPU),
         ("Memory", "bytes", {"{{instance}}": picked("process_resident_memory_bytes")}),
         ("Event loop late, p99", "s", p99("hilo_loop_lag_seconds", "instance")),
         ("Tasks", "short", {"{{instance}}": picked("hilo_tasks")})],
    ]),
    "hilo-lanes": ("Hilo: lanes and Kafka", [
        [("Lag by group, as the broker has it", "short", LAG),
         ("Oldest record not settled", "s", {"{{topic}}": most("hilo_lane_oldest_seconds", "topic")}),
         ("Records settled and put off", "reqps", each("hilo_records_total", "topic", "outcome"))],
        [("Contacts with work", "short", {"{{topic}} {{state}}": total("hilo_lanes", "topic, state")}),
         ("From admission to the start of a run, p99", "s", p99("hilo_lane_wait_seconds", "topic")),
         ("Handlers, p99", "s", p99("hilo_handler_seconds", "topic"))],
        [("Held back behind the oldest, worst partition", "short", {"{{topic}}": most("hilo_lane_window", "topic")}),
         ("Choked contacts, frozen partitions, throttled", "short", STILL),
         ("Since the last poll", "s", {"{{topic}}": most("hilo_poll_age_seconds", "topic")})],
        [("Rebalances and records given back", "reqps", MOVES),
         ("Revocations and commits, p99", "s", REVOKES),
         ("Commits", "reqps", each("hilo_commits_total", "result"))],
        [("Publishing, p99", "s", p99("hilo_publish_seconds", "topic")),
         ("Not acknowledged", "reqps", each("hilo_publish_failures_total", "topic")),
         ("Dead letters", "reqps", each("hilo_dead_letters_total", "topic", "reason"))],
    ]),
    "hilo-agent": ("Hilo: the agent", [
        [("Attempts by result", "reqps", each("hilo_agent_attempts_total", "result")),
         ("One answered attempt", "s", slow("hilo_agent_seconds")),
         ("All of a turn's attempts and waits for a session", "s", slow("hilo_turn_stage_seconds", stage="agent"))],
        [("Sockets", "reqps", each("hilo_agent_sockets_total", "event")),
         ("Drafts thrown away, replies nobody asked for", "reqps", WASTE),
         ("Waiting for the end of a thought", "s", slow("hilo_turn_stage_seconds", stage="quiet"))],
        [("Voice notes", "reqps", each("hilo_voice_notes_total", "result")),
         ("Typing shown", "reqps", each("hilo_typing_total", "result")),
         ("Escalations, agent away", "reqps", each("hilo_notices_total", "type", type=PERSONS))],
    ]),
    "hilo-sends": ("Hilo: sends", [
        [("POSTs by outcome", "reqps", each("hilo_sends_total", "outcome")),
         ("Refusals by code", "reqps", each("hilo_sends_total", "outcome", "code", outcome=REFUSED)),
         ("From the sender's taking up to acceptance, p99", "s", p99("hilo_send_seconds", "purpose"))],
        [("Statuses", "reqps", each("hilo_statuses_total", "status")),
         ("Failures by code", "reqps", each("hilo_statuses_total", "code", **LOST)),
         ("Not posted, by reason", "reqps", each("hilo_withheld_total", "reason"))],
        [("Alarms by code", "reqps", each("hilo_send_alarms_total", "code")),
         ("Posted again, or uncertain", "reqps", each("hilo_sends_repeated_total", "end")),
         ("Asked after at Twilio", "reqps", each("hilo_reconciled_total", "result"))],
    ]),
    "hilo-ingress": ("Hilo: ingress and janitor", [
        [("Webhooks by answer", "reqps", each("hilo_webhooks_total", "route", "status")),
         ("Answers to webhooks, p99", "s", p99("hilo_webhook_seconds", "route")),
         ("Signatures refused", "reqps", each("hilo_signatures_refused_total", "route"))],
        [("Janitor: since a round ended well", "s", {"{{round}}": f"time() - {most('hilo_round_ended', 'round')}"}),
         ("Closings asked for, messages repaired", "reqps", ASKED),
         ("Spans for the collector", "reqps", each("hilo_spans_total", "result"))],
    ]),
}  # fmt: skip


def dashboards() -> dict[Path, dict[str, Any]]:
    """Every file and what has to be in it."""
    return {FOLDER / f"{uid}.json": _dashboard(uid, *about) for uid, about in DASHBOARDS.items()}


def render(dashboard: dict[str, Any]) -> str:
    return json.dumps(dashboard, indent=1, ensure_ascii=False) + "\n"


def _dashboard(uid: str, title: str, rows: list[list[Panel]]) -> dict[str, Any]:
    panels = [
        _panel(panel, 10 * row + column + 1, row * HEIGHT, column * 24 // len(line), 24 // len(line))
        for row, line in enumerate(rows)
        for column, panel in enumerate(line)
    ]
    return {
        "uid": uid,
        "title": title,
        "tags": ["hilo"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": VARIABLES},
        "links": [{"type": "dashboards", "tags": ["hilo"], "title": "Hilo", "asDropdown": True, "includeVars": True}],
        "annotations": {"list": []},
        "panels": panels,
    }


def _panel(panel: Panel, number: int, y: int, x: int, width: int) -> dict[str, Any]:
    title, unit, queries = panel
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"h": HEIGHT, "w": width, "x": x, "y": y},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 8}}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {"refId": chr(65 + place), "expr": expression, "legendFormat": legend, "datasource": SOURCE}
            for place, (legend, expression) in enumerate(queries.items())
        ],
    }


def _variable(name: str, query: str, label: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "definition": query,
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


SOURCE = {"type": "prometheus", "uid": "${datasource}"}
VARIABLES = [
    {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
    _variable("prefix", "label_values(hilo_info, prefix)", "Prefix of topics"),
    _variable("service", 'label_values(hilo_info{prefix=~"$prefix"}, service)', "Service"),
    _variable("instance", 'label_values(hilo_info{prefix=~"$prefix", service=~"$service"}, instance)', "Process"),
]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for path, dashboard in dashboards().items():
        path.write_text(render(dashboard))
