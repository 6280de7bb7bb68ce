"""One message through the running services: one trace from its webhook to its last status, and every metric told."""

import json
import logging
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

import ingress.app
import janitor.app
import processor.app
import sender.app
from ingress.settings import IngressSettings
from janitor.settings import JanitorSettings
from kit.clock import SystemClock
from kit.metric_names import DEFINITIONS
from kit.metrics import Metrics
from kit.mongo import Mongo
from kit.otlp import exported
from kit.service import Tools
from kit.settings import KafkaSettings, MongoSettings, ServiceSettings
from processor.settings import ProcessorSettings
from sandbox.elevenlabs.simulator import ElevenLabsSimulator
from sandbox.stack.ports import free_ports
from sandbox.twilio import Profile, TwilioSimulator
from sandbox.twilio.profile import Delay
from sender.settings import SenderSettings
from tests.conftest import TELLTALE
from tests.running import eventually, running
from tests.wire.observed.collector import Collector, Seen, collecting

pytestmark = [pytest.mark.stack, pytest.mark.timeout(120)]
CLIENT = "+34600777111"
WORDS = "¿a qué hora es mi cita?"
PARTS: dict[str, Any] = {
    "ingress": (IngressSettings, ingress.app.build),
    "processor": (ProcessorSettings, processor.app.build),
    "sender": (SenderSettings, sender.app.build),
    "janitor": (JanitorSettings, janitor.app.build),
}
# What a good day does not count: each needs a fault, or a rare event, and is shown by the tests of its own place.
RARE = {
    *("hilo_info", "hilo_loop_lag_seconds", "hilo_tasks"),  # counted by `kit.service.run`, not by `build`
    *("hilo_publish_failures_total", "hilo_signatures_refused_total", "hilo_partitions_frozen_total"),
    *("hilo_rebalances_total", "hilo_revoke_seconds", "hilo_given_back_total", "hilo_dead_letters_total"),
    *("hilo_drafts_stale_total", "hilo_voice_notes_total", "hilo_agent_unsolicited_total", "hilo_withheld_total"),
    *("hilo_send_alarms_total", "hilo_sends_repeated_total", "hilo_reconciled_total"),
    *("hilo_close_requests_total", "hilo_repaired_total"),
}


@dataclass
class World:
    twilio: TwilioSimulator
    collector: Collector
    metrics: dict[str, str]
    """Service → the address of its metrics."""

    async def until(self, seen: Callable[[], bool], what: str) -> None:
        async def now() -> bool:
            return seen()

        await eventually(now, what, within=40)

    async def scraped(self) -> str:
        async with httpx.AsyncClient(trust_env=False) as http:
            return "".join([(await http.get(url)).text for url in self.metrics.values()])


@pytest.fixture
async def world(kafka: KafkaSettings, mongo_uri: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # ms; 5 s in a service
    database, ports = f"trace_{uuid.uuid4().hex[:8]}", dict(zip(PARTS, free_ports(4), strict=True))
    public = f"http://127.0.0.1:{ports['ingress']}"
    profile = Profile(inbound_url=f"{public}/webhook/twilio/incoming", read=Delay(median_ms=500))
    async with TwilioSimulator(profile) as twilio, ElevenLabsSimulator() as agent, collecting() as collector:
        given: dict[str, Any] = {
            **kafka.model_dump(),
            "mongodb_uri": mongo_uri,
            "mongodb_database": database,
            "public_base_url": public,
            "ingress_port": ports["ingress"],
            "twilio_account_sid": profile.account_sid,
            "twilio_auth_token": profile.auth_token,
            "twilio_whatsapp_numbers": profile.numbers[0],
            "twilio_base_url": twilio.url,
            "elevenlabs_api_key": "sk_sim",
            "elevenlabs_base_url": agent.url,
            "default_agent_id": "agent_sandbox",
            "api_token": "first-api-token",
            "lag_every_s": 0.5,
            "invariants_every_s": 1,
            "otel_exporter_otlp_endpoint": collector.url,
            "otel_resource_attributes": "deployment.environment.name=test",
            "_env_file": None,
        }
        async with _services(given, ports):
            yield World(twilio, collector, {name: f"http://127.0.0.1:{port}/metrics" for name, port in ports.items()})
        mongo = Mongo(MongoSettings(mongodb_uri=mongo_uri, mongodb_database=database, _env_file=None))
        await mongo.database.client.drop_database(database)
        await mongo.stop()


@asynccontextmanager
async def _services(given: dict[str, Any], ports: dict[str, int]) -> AsyncIterator[None]:
    """All of them in this process, so one provider records them all."""
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        stack.enter_context(exported(ServiceSettings(**given), "test", metrics))
        for name, (kind, build) in PARTS.items():
            known = {one: value for one, value in given.items() if one in kind.model_fields or one == "_env_file"}
            settings = kind(**{**known, "health_port": ports[name]})
            counting = metrics if name == "sender" else Metrics()  # one of them shows the exporter's own, too
            await stack.enter_async_context(running(build(settings, Tools(name, SystemClock(), counting))))
        yield


async def test_from_webhook_to_status_in_one_trace(world: World, caplog: pytest.LogCaptureFixture) -> None:
    received = await world.twilio.inbound(CLIENT, WORDS)
    spans = world.collector.spans
    await world.until(lambda: sum(one.name == "process message.status" for one in spans) >= 3, "sent, delivered, read")
    (first,) = [one for one in spans if one.name == "POST /webhook/twilio/incoming"]
    trace = world.collector.of(first.trace)
    assert {one.trace for one in spans if "webhook" in one.name} == {first.trace}, "the statuses join it"
    _chain_is_whole(trace)
    _tells_nobody(world.collector)
    _named_as_the_conventions_say(trace, received.sid)
    _lines_name_the_trace(caplog, first.trace)
    await _metrics_are_told(world)

    await _two_bubbles(world)


def _chain_is_whole(trace: list[Seen]) -> None:
    names = {one.id: one.name for one in trace}
    parents = {(one.name, names.get(one.parent, "")) for one in trace}
    assert parents >= {
        ("POST /webhook/twilio/incoming", ""),
        ("send contact.log", "POST /webhook/twilio/incoming"),
        ("process contact.log", "send contact.log"),
        ("quiet", "process contact.log"),
        ("agent", "process contact.log"),
        ("invoke_agent", "agent"),
        ("decide", "process contact.log"),
        ("publish", "process contact.log"),
        ("send system.notices", "process contact.log"),
        ("send message.outbound", "process contact.log"),
        ("process message.outbound", "send message.outbound"),
        ("POST", "process message.outbound"),
        ("POST /webhook/twilio/status", "process message.outbound"),
        ("send message.status", "POST /webhook/twilio/status"),
        ("process message.status", "send message.status"),
    }
    assert [one.name for one in trace if one.parent not in names] == ["POST /webhook/twilio/incoming"]


def _tells_nobody(collector: Collector) -> None:
    """No number, no word, no secret: not in a name, an attribute or a resource."""
    told = json.dumps([[one.name, one.attributes] for one in collector.spans] + [collector.resources])
    assert not TELLTALE.search(told)
    assert CLIENT[1:] not in told
    assert "cita" not in told
    assert all(one.events == 0 for one in collector.spans), "an exception's text may hold anything"


def _named_as_the_conventions_say(trace: list[Seen], sid: str) -> None:
    kinds = {one.name: one.kind for one in trace}
    assert kinds["POST /webhook/twilio/incoming"] == "SERVER"
    assert (kinds["send contact.log"], kinds["process contact.log"]) == ("PRODUCER", "CONSUMER")
    assert (kinds["POST"], kinds["decide"], kinds["invoke_agent"], kinds["quiet"]) == (*("CLIENT",) * 3, "INTERNAL")
    about = {one.name: one.attributes for one in trace}
    assert about["POST /webhook/twilio/incoming"]["http.response.status_code"] == 200
    assert about["process contact.log"]["messaging.message.id"] == sid
    assert about["process contact.log"]["messaging.destination.name"] == "contact.log"
    assert about["decide"]["db.collection.name"] == "turns"
    assert not any(one.failed for one in trace)


def _lines_name_the_trace(caplog: pytest.LogCaptureFixture, trace: str) -> None:
    lines = [json.loads(one.getMessage()) for one in caplog.records if one.getMessage().startswith("{")]
    said = {line["event"]: line.get("trace_id") for line in lines if line["event"] in {"turn", "posted", "status"}}
    assert said == dict.fromkeys(("turn", "posted", "status"), trace)
    published = [line.get("trace_id") for line in lines if line["event"] == "published"]
    assert set(published) == {trace}


async def _metrics_are_told(world: World) -> None:
    text = ""

    async def told() -> bool:
        nonlocal text
        text = await world.scraped()
        return not _missing(text) and 'hilo_group_lag{group="processor"' in text

    await eventually(told, f"every metric in an exposition, missing {_missing(text)}", within=20)


def _missing(text: str) -> set[str]:
    counted = {line.partition("{")[0].partition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    endings = {"counter": "", "gauge": "", "histogram": "_count"}
    missing: set[str] = {name for name, one in DEFINITIONS.items() if name + endings[one.kind] not in counted}
    return missing - RARE


async def _two_bubbles(world: World) -> None:
    """They have one answer: its trace is the first one's, and it links the second one's."""
    spans, before = world.collector.spans, len(world.collector.spans)
    world.twilio.say(CLIENT, "Perdona,")
    await world.twilio.inbound(CLIENT, "¿y dónde es?")
    await world.until(lambda: sum(one.name == "POST" for one in spans[before:]) >= 1, "the answer is posted")
    await world.until(lambda: any(one.links for one in spans[before:]), "the run is exported")
    first, second = [one.trace for one in spans[before:] if one.name == "POST /webhook/twilio/incoming"][:2]
    (answered,) = [one for one in spans[before:] if one.links]
    assert answered.name == "process contact.log"
    assert {answered.trace, *answered.links} == {first, second}
    assert answered.attributes["messaging.batch.message_count"] == 2


async def test_a_collector_that_is_away_costs_one_line_and_no_message(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "10")
    from kit.tracing import span

    (port,) = free_ports(1)
    metrics = Metrics()
    settings = ServiceSettings(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{port}", _env_file=None)
    with exported(settings, "test", metrics):
        for _ in range(3000):  # more than its queue holds
            with span("one"):
                pass
    assert metrics.registry.get_sample_value("hilo_spans_total", {"result": "exported"}) is None
    lines = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(lines) <= 1, [one.getMessage() for one in lines]
