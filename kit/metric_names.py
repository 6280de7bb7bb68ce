"""Every metric there is: name, kind, labels with their values, meaning. A call with another name is a type error.

Label values are bounded: each label says which values it takes, and any other one is counted as `other`. Never a
contact, never an id. `python -m kit.metrics` writes docs/metrics.md from this list.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from schemas.topics import SYSTEM_NOTICES, TOPICS

__all__ = ["DEFINITIONS", "Bound", "Definition", "MetricName"]

MetricName = Literal[
    # every service
    "hilo_info",
    "hilo_loop_lag_seconds",
    "hilo_tasks",
    "hilo_spans_total",
    # publishing
    "hilo_publish_seconds",
    "hilo_publish_failures_total",
    "hilo_notices_total",
    # ingress
    "hilo_webhooks_total",
    "hilo_webhook_seconds",
    "hilo_signatures_refused_total",
    # lanes: what a consumer says of itself
    "hilo_records_total",
    "hilo_handler_seconds",
    "hilo_lane_wait_seconds",
    "hilo_lanes",
    "hilo_lane_records",
    "hilo_lane_oldest_seconds",
    "hilo_lane_window",
    "hilo_lane_choked",
    "hilo_lane_frozen",
    "hilo_partitions_frozen_total",
    "hilo_throttled",
    "hilo_poll_age_seconds",
    "hilo_commits_total",
    "hilo_commit_seconds",
    "hilo_rebalances_total",
    "hilo_revoke_seconds",
    "hilo_given_back_total",
    "hilo_dead_letters_total",
    # groups: what the broker says, told by the janitor, so that it is known of a group nobody serves
    "hilo_group_lag",
    "hilo_group_offset",
    # turns
    "hilo_turns_total",
    "hilo_turn_seconds",
    "hilo_turn_stage_seconds",
    "hilo_answer_seconds",
    "hilo_thoughts_total",
    "hilo_drafts_stale_total",
    "hilo_voice_notes_total",
    "hilo_typing_total",
    # agent
    "hilo_agent_attempts_total",
    "hilo_agent_seconds",
    "hilo_agent_sockets_total",
    "hilo_agent_unsolicited_total",
    # sends
    "hilo_sends_total",
    "hilo_send_seconds",
    "hilo_withheld_total",
    "hilo_statuses_total",
    "hilo_send_alarms_total",
    "hilo_sends_repeated_total",
    "hilo_reconciled_total",
    # janitor
    "hilo_close_requests_total",
    "hilo_sweep_seconds",
    "hilo_round_ended",
    "hilo_round_every_seconds",
    "hilo_repaired_total",
    "hilo_invariant_broken",
]

Bound = frozenset[str] | re.Pattern[str]
"""What values a label takes: a list, or a shape where the list is the world's (partitions, error codes)."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


TOPIC = frozenset(topic.name for topic in TOPICS)
GROUP = frozenset(topic.group for topic in TOPICS if topic.group)
ROUTE = _words("/webhook/twilio/incoming /webhook/twilio/status /webhook/elevenlabs/post-call")
PARTITION = re.compile(r"\d{1,4}")
STATUS = re.compile(r"[1-5]\d\d")  # of HTTP
CODE = re.compile(r"none|\d{5,6}")  # what sender/outcomes.py knows, about 90; every other one is `other`
PREFIX = re.compile(r"-|[A-Za-z0-9._-]{1,64}")  # one value a process
OUTCOMES = _words(
    "replied no_reply escalated apologised buried asked_to_write discarded stored ignored greeted unreachable joined "
    "facts closed taken_over handed_back operator_said opted_out opted_in refused throttled erased"
)
ROUNDS = frozenset({"sweep", "gap repair", "invariants", "lag"})
INVARIANTS = _words(
    "one_open_conversation turns_are_finished what_is_decided_is_sent messages_become_turns parts_are_tried "
    "nobody_waits_for_a_person"
)
ATTEMPTS = _words("answered cancelled quota capacity config blocked expired transient timeout protocol")
STATUSES = _words("accepted scheduled queued sending sent failed undelivered delivered read second_sid stranger")
NOTICES = frozenset(kind.__name__ for kind in SYSTEM_NOTICES.events)


@dataclass(frozen=True, slots=True)
class Definition:
    kind: Literal["counter", "gauge", "histogram"]
    about: str
    labels: Mapping[str, Bound] = field(default_factory=dict)


DEFINITIONS: dict[MetricName, Definition] = {
    # every service
    "hilo_info": Definition(
        "gauge",
        "1; which service, and the prefix of its topics and groups, `-` for none",
        {"service": _words("ingress processor sender janitor console"), "prefix": PREFIX},
    ),
    "hilo_loop_lag_seconds": Definition("histogram", "how late the event loop was for a timer of one second"),
    "hilo_tasks": Definition("gauge", "asyncio tasks that are not done; growing under a steady load is a leak"),
    "hilo_spans_total": Definition(
        "counter", "spans for the collector: exported, lost", {"result": _words("exported lost")}
    ),
    # publishing
    "hilo_publish_seconds": Definition("histogram", "from send to the broker's acknowledgement", {"topic": TOPIC}),
    "hilo_publish_failures_total": Definition(
        "counter", "sends the broker did not acknowledge in time", {"topic": TOPIC}
    ),
    "hilo_notices_total": Definition(
        "counter",
        "notices for the main backend, by kind: escalations, opt-outs, an agent that is away, what was not shown",
        {"type": NOTICES},
    ),
    # ingress
    "hilo_webhooks_total": Definition("counter", "webhooks by route and answer", {"route": ROUTE, "status": STATUS}),
    "hilo_webhook_seconds": Definition("histogram", "from a webhook's first byte to its answer", {"route": ROUTE}),
    "hilo_signatures_refused_total": Definition("counter", "webhooks whose signature does not hold", {"route": ROUTE}),
    # lanes
    "hilo_records_total": Definition(
        "counter",
        "records settled (ok, buried) or put off (retry, wait, hold, unburied)",
        {"topic": TOPIC, "outcome": _words("ok buried retry wait hold unburied")},
    ),
    "hilo_handler_seconds": Definition("histogram", "one attempt of a handler", {"topic": TOPIC}),
    "hilo_lane_wait_seconds": Definition("histogram", "from admission to the start of a run", {"topic": TOPIC}),
    "hilo_lanes": Definition(
        "gauge",
        "contacts with work: live in all, running, waiting for their next attempt",
        {"topic": TOPIC, "state": _words("live running waiting")},
    ),
    "hilo_lane_records": Definition(
        "gauge", "records admitted and not settled", {"topic": TOPIC, "partition": PARTITION}
    ),
    "hilo_lane_oldest_seconds": Definition(
        "gauge",
        "age of the oldest record that is not settled, by the time Kafka gave it",
        {"topic": TOPIC, "partition": PARTITION},
    ),
    "hilo_lane_window": Definition(
        "gauge",
        "records held back behind the oldest unfinished one, itself included",
        {"topic": TOPIC, "partition": PARTITION},
    ),
    "hilo_lane_choked": Definition(
        "gauge",
        "contacts whose lane is full: while there is one, its partition is not polled",
        {"topic": TOPIC, "partition": PARTITION},
    ),
    "hilo_lane_frozen": Definition("gauge", "partitions that stand still by the burial budget now", {"topic": TOPIC}),
    "hilo_partitions_frozen_total": Definition("counter", "partitions stopped by the burial budget", {"topic": TOPIC}),
    "hilo_throttled": Definition("gauge", "1 while a dependency is away and only probes go through", {"topic": TOPIC}),
    "hilo_poll_age_seconds": Definition("gauge", "since the last good poll; liveness fails at 90", {"topic": TOPIC}),
    "hilo_commits_total": Definition(
        "counter", "commits: ok, failed, fenced by a rebalance", {"result": _words("ok failed fenced")}
    ),
    "hilo_commit_seconds": Definition("histogram", "one commit"),
    "hilo_rebalances_total": Definition("counter", "revocations of partitions", {"group": GROUP}),
    "hilo_revoke_seconds": Definition(
        "histogram", "from a revocation to the last commit before partitions move", {"group": GROUP}
    ),
    "hilo_given_back_total": Definition("counter", "records given back in a hand-over", {"group": GROUP}),
    "hilo_dead_letters_total": Definition(
        "counter",
        "records buried, by reason; the topic is a route where it came by HTTP",
        {
            "topic": TOPIC | ROUTE,
            "reason": _words("undecodable exhausted too_large unusable_address unusable_contact refused"),
        },
    ),
    # groups
    "hilo_group_lag": Definition(
        "gauge", "records that a group has not committed", {"group": GROUP, "topic": TOPIC, "partition": PARTITION}
    ),
    "hilo_group_offset": Definition(
        "gauge", "what a group has committed, 0 for nothing", {"group": GROUP, "topic": TOPIC, "partition": PARTITION}
    ),
    # turns
    "hilo_turns_total": Definition("counter", "turns decided, by outcome", {"outcome": OUTCOMES}),
    "hilo_turn_seconds": Definition("histogram", "from taking a run to its turn being done", {"outcome": OUTCOMES}),
    "hilo_turn_stage_seconds": Definition(
        "histogram",
        "of a turn: quiet (waiting for the end of a thought), agent, decide, publish",
        {"stage": _words("quiet agent decide publish")},
    ),
    "hilo_answer_seconds": Definition(
        "histogram", "what a client feels of us: from their last message at Twilio's door to our answer being published"
    ),
    "hilo_thoughts_total": Definition(
        "counter",
        "thoughts answered: once; after superseded drafts; late, by a second answer to what came before the first",
        {"end": _words("once superseded late")},
    ),
    "hilo_drafts_stale_total": Definition("counter", "drafts thrown away because the thought went on"),
    "hilo_voice_notes_total": Definition(
        "counter", "voice notes: heard, silent, failed", {"result": _words("heard silent failed")}
    ),
    "hilo_typing_total": Definition("counter", "typing indicators shown, by result", {"result": _words("ok failed")}),
    # agent
    "hilo_agent_attempts_total": Definition("counter", "attempts to ask the agent, by result", {"result": ATTEMPTS}),
    "hilo_agent_seconds": Definition("histogram", "one answered attempt"),
    "hilo_agent_sockets_total": Definition(
        "counter",
        "sockets to the agent: opened, reused, evicted, waited for",
        {"event": _words("opened reused evicted waited")},
    ),
    "hilo_agent_unsolicited_total": Definition("counter", "replies of the agent that nobody asked for"),
    # sends
    "hilo_sends_total": Definition(
        "counter",
        "parts posted to Twilio, by outcome and error code",
        {"outcome": _words("ACCEPTED NOT_SENT REJECTED CONFIG UNKNOWN"), "code": CODE},
    ),
    "hilo_send_seconds": Definition(
        "histogram",
        "from the sender's taking up a part to Twilio's acceptance",
        {"purpose": _words("reply greeting apology operator confirmation")},
    ),
    "hilo_withheld_total": Definition(
        "counter",
        "parts that were not posted: window_closed is a window miss",
        {"reason": _words("fenced expired window_closed earlier_part overtaken")},
    ),
    "hilo_statuses_total": Definition(
        "counter", "status callbacks applied, by status and error code", {"status": STATUSES, "code": CODE}
    ),
    "hilo_send_alarms_total": Definition("counter", "refusals by Twilio that a person has to look at", {"code": CODE}),
    "hilo_sends_repeated_total": Definition(
        "counter", "parts posted again, or lost sight of, after no answer", {"end": _words("posted_again uncertain")}
    ),
    "hilo_reconciled_total": Definition(
        "counter",
        "messages asked after at Twilio, by what came of it",
        {"result": _words("moved_on given_up no_sid twilio_away gone asked")},
    ),
    # janitor
    "hilo_close_requests_total": Definition("counter", "close requests emitted by the janitor"),
    "hilo_sweep_seconds": Definition("histogram", "one sweep of the janitor"),
    "hilo_round_ended": Definition(
        "gauge",
        "when a round of the janitor last ended well, or the janitor began; seconds since 1970",
        {"round": ROUNDS},
    ),
    "hilo_round_every_seconds": Definition("gauge", "how often that round is to be made", {"round": ROUNDS}),
    "hilo_repaired_total": Definition("counter", "messages found in Twilio's list whose webhook never came"),
    "hilo_invariant_broken": Definition("gauge", "what breaks an invariant of the data now", {"invariant": INVARIANTS}),
}
