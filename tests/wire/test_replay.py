"""The three ways of a replay, on real Kafka and a MongoDB-wire server."""

import json
from typing import Any

import pytest
import typer

from kit.errors import HiloError
from kit.kafka import topics
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery, wire
from kit.kafka.outlet import Outlet
from kit.mongo import Database
from kit.service import Tools
from kit.settings import KafkaSettings
from ops.replaying import modes
from ops.replaying.chosen import Wanted, wanted
from ops.replaying.modes import Showing
from ops.replaying.settings import ReplaySettings
from processor.agent.client import Answer, Question
from processor.repository import Repository
from schemas.attributes import Envelope, decode
from schemas.events import Event
from schemas.topics import CONTACT_LOG
from tests.contracts.runs import run_of
from tests.running import records
from tests.unit.processor.states import CHANNEL, CONTACT, completed, message
from tests.unit.processor.turning import handler

pytestmark = [pytest.mark.stack, pytest.mark.timeout(180)]
QUIET = Showing(as_json=True)


class Processor:
    """Decides what stands in the log, each record by itself."""

    def __init__(self, database: Database, kafka: KafkaSettings, tools: Tools) -> None:
        self._kafka = kafka
        self._turns = handler(Repository(database), self, self, tools)
        self.asked: list[str] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question.text)
        return Answer([f"Sobre {question.text}: sí."], seconds=1.0)

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        """Nobody listens."""

    async def work(self, count: int) -> None:
        for one in await records(self._kafka, CONTACT_LOG.name, count):
            position = Position(CONTACT_LOG.name, one.partition, one.offset)
            await self._turns.handle(run_of(Delivery(decode(wire(one), CONTACT_LOG.events), position)))


async def log(outlet: Outlet, tools: Tools, *events: tuple[str, Event]) -> None:
    for name, event in events:
        await outlet.publish(CONTACT_LOG.name, Envelope(name, "hilo/test", tools.clock.now(), CONTACT, event))


def settings(kafka: KafkaSettings, mongo_uri: str, database: Database) -> ReplaySettings:
    return ReplaySettings(
        **kafka.model_dump(include={"kafka_bootstrap_servers", "kafka_topic_prefix"}),
        mongodb_uri=mongo_uri,
        mongodb_database=database.name,
        twilio_whatsapp_numbers=CHANNEL,
        default_agent_id="agent_default",
        greeting_template_sid="HX1",
        _env_file=None,
    )


async def test_told_again_copied_and_put_back(
    kafka: KafkaSettings,
    outlet: Outlet,
    tools: Tools,
    mongo_uri: str,
    database: Database,
    capsys: pytest.CaptureFixture[str],
) -> None:
    processor, here = Processor(database, kafka, tools), settings(kafka, mongo_uri, database)
    asked = [(f"SM{n}", message(f"pregunta {n}", message_sid=f"SM{n}")) for n in (1, 2)]
    await log(outlet, tools, ("call_1", completed(conversation_id="c1")), *asked)
    await processor.work(3)
    what = _of_contact(here)
    await modes.sealed(here, what, QUIET, check=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["counts"], told["turns"]) == ({"same": 3}, 3)
    assert CONTACT not in json.dumps(told)
    await _into(here, what, kafka, capsys)
    await _again(here, what, kafka, processor, capsys)
    await modes.sealed(here, what, QUIET, check=True)
    again = json.loads(capsys.readouterr().out)
    assert (again["hash"], again["copies"]) == (told["hash"], 3)
    await log(outlet, tools, ("SM3", message("pregunta 3", message_sid="SM3")))
    with pytest.raises(typer.Exit):
        await modes.sealed(here, what, QUIET, check=True)
    assert json.loads(capsys.readouterr().out)["counts"] == {"same": 3, "new": 1}


def _of_contact(here: ReplaySettings) -> Wanted:
    return wanted(CONTACT, None, None, None, None, here.clock().now())


async def _into(here: ReplaySettings, what: Wanted, kafka: KafkaSettings, capsys: pytest.CaptureFixture[str]) -> None:
    there = kafka.model_copy(update={"kafka_topic_prefix": f"copy.{kafka.kafka_topic_prefix}"})
    how: dict[str, Any] = {"by": "luis", "rate": 0, "as_json": True}
    port = kafka.kafka_bootstrap_servers.rpartition(":")[2]
    for same in (kafka.kafka_topic_prefix, f"{kafka.kafka_topic_prefix}@localhost:{port}"):
        with pytest.raises(HiloError, match="where the records come from"):
            await modes.into(here, what, same, **how)
    with pytest.raises(HiloError, match="hilo topics create"):
        await modes.into(here, what, there.kafka_topic_prefix, **how)
    await topics.create(there, 2)
    await modes.into(here, what, there.kafka_topic_prefix, **how)
    assert json.loads(capsys.readouterr().out)["records"] == 3
    before, after = await records(kafka, CONTACT_LOG.name, 3), await records(there, CONTACT_LOG.name, 3)
    assert [(one.key, one.value) for one in after] == [(one.key, one.value) for one in before]
    for old, new in zip(before, after, strict=True):
        assert list(new.headers)[: len(old.headers)] == list(old.headers)
        position = f"{CONTACT_LOG.name}-{old.partition}-{old.offset}"
        assert dict(new.headers)["hilo_replayed_from"] == position.encode()


async def _again(
    here: ReplaySettings,
    what: Wanted,
    kafka: KafkaSettings,
    processor: Processor,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Already decided events stay decided: nobody is asked again."""
    with pytest.raises(HiloError, match=r"message\.outbound is not put back"):
        await modes.again(here, Wanted("message.outbound", begin=what.begin), by="l", rate=0, yes=True, as_json=True)
    await modes.again(here, what, by="luis", rate=0, yes=True, as_json=True)
    assert json.loads(capsys.readouterr().out)["records"] == 3
    known = list(processor.asked)
    back = await records(kafka, CONTACT_LOG.name, 6)
    assert [dict(one.headers).get("hilo_replayed_mode") for one in back] == [None] * 3 + [b"again"] * 3
    await processor.work(6)
    assert processor.asked == known == ["pregunta 1", "pregunta 2"]


async def test_where_nothing_is_one_sentence_says_so(
    kafka: KafkaSettings,
    mongo_uri: str,
    database: Database,
    outlet: Outlet,
    capsys: pytest.CaptureFixture[str],
) -> None:
    here = settings(kafka, mongo_uri, database)
    for what, sentence in (
        (_of_contact(here), "nothing is stored of this contact"),
        (Wanted(CONTACT_LOG.name, offsets=(0, 5, 9)), "has no records there"),
        (Wanted(CONTACT_LOG.name, offsets=(99, 5, 9)), "has no records there"),
    ):
        with pytest.raises(typer.Exit) as ended:
            await modes.sealed(here, what, QUIET, check=False)
        told = capsys.readouterr()
        assert (ended.value.exit_code, told.out, told.err.count("\n")) == (1, "", 1)
        assert sentence in told.err
        assert CONTACT not in told.err
    with pytest.raises(HiloError, match=r"only contact\.log can be told again"):
        await modes.sealed(here, Wanted("call.completed", offsets=(0, 0, 1)), QUIET, check=False)
