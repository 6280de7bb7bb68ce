"""What an installation should be like: values in, one finding out. `ops/surroundings.py` asks for the values."""

import re
from collections.abc import Mapping
from typing import Any

from kit.kafka.topics import Finding

__all__ = [
    "address_finding",
    "clock_finding",
    "descriptors_finding",
    "replication_finding",
    "store_finding",
    "templates_finding",
]

SKEW_WARN_S, SKEW_FAIL_S = 2.0, 10.0
"""Leases (15 s) and deadlines are compared between hosts; an answer's Date has whole seconds."""
OTHER_DESCRIPTORS = 512  # MongoDB's pools, HTTP, Kafka, files
TEMPLATE_SID = re.compile(r"^HX[0-9a-fA-F]{32}$")


def replication_finding(brokers: int, replicas: int) -> Finding:
    """`replicas`: of the topic that has fewest."""
    detail = f"{brokers} brokers, {replicas} replicas" if brokers > 1 else f"one broker, {replicas} replica"
    if replicas >= 3:
        return Finding("Kafka: copies", "ok", detail)
    if brokers >= 3:
        remedy = "raise the topics' replication factor to 3 (kafka-reassign-partitions), min.insync.replicas to 2"
        return Finding("Kafka: copies", "warn", f"{detail}: a lost broker takes messages with it", remedy)
    remedy = "for production three brokers, default.replication.factor=3, min.insync.replicas=2"
    return Finding("Kafka: copies", "warn", f"{detail}: a lost disk takes messages with it", remedy)


def store_finding(version: str, hello: Mapping[str, Any]) -> Finding:
    """`hello`: MongoDB's answer to the command of that name."""
    members = len(hello.get("hosts", ()))
    if hello.get("msg") == "isdbgrid":
        return Finding("MongoDB", "ok", f"version {version}, sharded")
    if "setName" not in hello:
        remedy = "start mongod with --replSet and run rs.initiate(); three members for production"
        return Finding("MongoDB", "warn", f"version {version}, no replica set", remedy)
    detail = f"version {version}, replica set {hello['setName']} of {members}"
    if members < 3:
        return Finding("MongoDB", "warn", f"{detail}: a lost disk takes decisions with it", "add members: rs.add(…)")
    return Finding("MongoDB", "ok", detail)


def clock_finding(subject: str, skew_s: float) -> Finding:
    """`skew_s`: how far our clock is before the other's."""
    detail = f"this clock is {abs(skew_s):.1f} s {'before' if skew_s > 0 else 'behind'} {subject}'s"
    remedy = "run an NTP client (chrony, systemd-timesyncd) on every host"
    if abs(skew_s) > SKEW_FAIL_S:
        return Finding("clock", "fail", f"{detail}: leases and deadlines go wrong", remedy)
    if abs(skew_s) > SKEW_WARN_S:
        return Finding("clock", "warn", detail, remedy)
    return Finding("clock", "ok", f"agrees with {subject}'s")


def address_finding(url: str, status: int | None) -> Finding:
    """`status`: what a GET of the webhook's address answered; None where nothing did."""
    subject = "PUBLIC_BASE_URL"
    if status is None:
        remedy = "is the ingress up, its name in the DNS, and its port open? Twilio has to reach it"
        return Finding(subject, "warn", f"{url} does not answer from here", remedy)
    if status != 405:  # the ingress: "send POST"
        remedy = "let the proxy pass /webhook on to the ingress, path prefix included"
        return Finding(subject, "fail", f"HTTP {status} at {url}: that is not the ingress", remedy)
    if not url.startswith("https://"):
        return Finding(
            subject, "warn", f"{url} is the ingress, without TLS", "put TLS in front of it, and say https://"
        )
    return Finding(subject, "ok", f"{url} is the ingress")


def templates_finding(greeting: str, reengage: str) -> Finding:
    given = {"GREETING_TEMPLATE_SID": greeting, "REENGAGE_TEMPLATE_SID": reengage}
    wrong = [name for name, sid in given.items() if sid and not TEMPLATE_SID.match(sid)]
    if wrong:
        return Finding("templates", "fail", f"{', '.join(wrong)}: no content SID", "HX and 32 hex digits, from Twilio")
    lost = {"GREETING_TEMPLATE_SID": "greeting", "REENGAGE_TEMPLATE_SID": "reply"}
    missing = [f"{name} is not set: no {lost[name]}" for name, sid in given.items() if not sid]
    if missing:
        detail = f"{'; '.join(missing)} leaves outside of the 24-hour window"
        return Finding("templates", "warn", detail, "have templates approved in Twilio's console, and set their SIDs")
    return Finding("templates", "ok", "set")


def descriptors_finding(limit: int, sockets: int) -> Finding:
    """`limit`: open files this process may have; `sockets`: what the settings allow at once."""
    needed = sockets + OTHER_DESCRIPTORS
    if limit < needed:
        detail = f"open files: {limit} here; the settings need {needed}"
        return Finding("limits", "warn", detail, "ulimit -n 65536, LimitNOFILE=65536, or a container's ulimits")
    return Finding("limits", "ok", f"open files: {limit}")
