"""A broker with SASL and TLS: everything of ours works on it, and a wrong setting ends in a sentence that names it."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from kit.errors import BrokerDown, Misconfigured
from kit.kafka import topics
from kit.kafka.broker import client_options
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.delivery import Delivery
from kit.kafka.lag import lags
from kit.kafka.lanes import Subscription
from kit.kafka.outlet import Outlet
from kit.kafka.reading import reader
from kit.lanes import Run
from kit.service import Service, Tools
from kit.settings import KafkaSettings
from sandbox.stack.ports import free_ports
from schemas.attributes import WireRecord
from schemas.topics import CALL_COMPLETED
from tests.running import eventually
from tests.secured_kafka import ANOTHER_AUTHORITY, Secured, secured_kafka

RECORD = WireRecord(b"k", b'{"phone_number": "+1", "client_name": "Ana"}', [])
UNKNOWN = "sekreto-wrong"


@pytest.fixture(scope="module")
async def secured(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Secured]:
    async with secured_kafka(tmp_path_factory.mktemp("secured")) as broker:
        yield broker


def consumers(settings: KafkaSettings, outlet: Outlet, tools: Tools, seen: list[str]) -> Consumers:
    async def handle(run: Run[Delivery]) -> None:
        seen.extend(one.envelope.data.model_dump()["client_name"] for one in run.records)

    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    return Consumers(settings, [Subscription(CALL_COMPLETED, handle)], letters, tools)


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-512"])
async def test_topics_are_made_written_consumed_and_read(secured: Secured, tools: Tools, mechanism: str) -> None:
    settings = secured.settings(kafka_sasl_mechanism=mechanism, kafka_topic_prefix=f"{mechanism}.")
    assert {one.detail for one in await topics.create(settings, 2)} == {"2 partitions, 1 replicas; the table says 24"}
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    seen: list[str] = []
    consuming = consumers(settings, outlet, tools, seen)
    await outlet.start()
    await outlet.wait_ready(10)
    await consuming.start()
    await outlet.publish_record(CALL_COMPLETED.name, RECORD)

    async def handled() -> bool:
        return seen == ["Ana"]

    await eventually(handled, "the record handled")
    await consuming.stop()
    await outlet.stop()
    assert [(one.waiting, one.completed) for one in await lags(settings) if one.topic == CALL_COMPLETED.name] == [
        (0, 1)
    ]
    async with reader(settings) as reading:
        stored = [one.record async for one in reading.read(await reading.whole(CALL_COMPLETED.name))]
    assert [(one.key, one.value) for one in stored] == [(RECORD.key, RECORD.value)]


def wrong(secured: Secured, what: str, tmp_path: Path) -> tuple[dict[str, Any], str]:
    """Settings that are wrong in one way, and how the sentence begins."""
    other = tmp_path / "other.pem"
    other.write_text(ANOTHER_AUTHORITY)
    where = secured.tls
    found: dict[str, tuple[dict[str, Any], str]] = {
        "password": (
            {"kafka_sasl_password": UNKNOWN},
            f"KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD: {where} refuses them (SCRAM-SHA-512)",
        ),
        "password, PLAIN": (
            {"kafka_sasl_password": UNKNOWN, "kafka_sasl_mechanism": "PLAIN"},
            f"KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD: {where} refuses them (PLAIN)",
        ),
        "user": (
            {"kafka_sasl_username": "nobody"},
            f"KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD: {where} refuses them (SCRAM-SHA-512)",
        ),
        "mechanism": (
            {"kafka_sasl_mechanism": "SCRAM-SHA-256"},
            f"KAFKA_SASL_MECHANISM: {where} does not take SCRAM-SHA-256",
        ),
        "another authority": ({"kafka_ssl_cafile": other}, f"KAFKA_SSL_CAFILE: the certificate of {where} is not"),
        "no authority": ({"kafka_ssl_cafile": None}, f"KAFKA_SSL_CAFILE: the certificate of {where} is not trusted"),
        "another name": (
            {"kafka_bootstrap_servers": where.replace("127.0.0.1", "localhost")},
            "KAFKA_BOOTSTRAP_SERVERS: the certificate of localhost",
        ),
        "no TLS": (
            {"kafka_security_protocol": "PLAINTEXT"},
            f"KAFKA_SECURITY_PROTOCOL: {where} speaks TLS, so it is SSL or SASL_SSL, not PLAINTEXT",
        ),
        "SASL without TLS": (
            {"kafka_security_protocol": "SASL_PLAINTEXT"},
            f"KAFKA_SECURITY_PROTOCOL: {where} speaks TLS, so it is SSL or SASL_SSL, not SASL_PLAINTEXT",
        ),
        "no user": (
            {"kafka_security_protocol": "SSL"},
            f"KAFKA_SECURITY_PROTOCOL: {where} wants a user and a password, so it is SASL_SSL, not SSL",
        ),
        "TLS on a plain port": (
            {"kafka_bootstrap_servers": secured.plain},
            f"KAFKA_SECURITY_PROTOCOL: {secured.plain} does not speak TLS, so it is PLAINTEXT or SASL_PLAINTEXT",
        ),
        "a user on a plain port": (
            {"kafka_bootstrap_servers": secured.plain, "kafka_security_protocol": "SASL_PLAINTEXT"},
            f"KAFKA_SECURITY_PROTOCOL: {secured.plain} asks for no user, so it is not SASL_PLAINTEXT",
        ),
    }
    return found[what]


WRONG = [
    *("password", "password, PLAIN", "user", "mechanism", "another authority", "no authority", "another name"),
    *("no TLS", "SASL without TLS", "no user", "TLS on a plain port", "a user on a plain port"),
]


@pytest.mark.parametrize("what", WRONG)
async def test_a_wrong_setting_is_named(secured: Secured, what: str, tmp_path: Path) -> None:
    given, told = wrong(secured, what, tmp_path)
    settings = secured.settings(**given)
    with pytest.raises(Misconfigured) as caught:
        await topics.check(settings)
    (fault,) = caught.value.faults
    assert fault.startswith(told)
    assert UNKNOWN not in fault


async def test_nobody_there_is_an_outage_and_no_wrong_setting(secured: Secured) -> None:
    away = secured.settings(kafka_bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    with pytest.raises(BrokerDown, match="KAFKA_BOOTSTRAP_SERVERS"):
        await topics.check(away)


@pytest.mark.parametrize("part", ["consumers", "outlet"])
async def test_a_service_with_a_wrong_password_ends(secured: Secured, tools: Tools, part: str) -> None:
    """With code 2: `kit.service.run` makes that of Misconfigured."""
    settings = secured.settings(kafka_sasl_password=UNKNOWN)
    service = Service(tools)
    outlet = Outlet(client_options(settings), "", tools.clock, tools.metrics)
    service.parts = [outlet] if part == "outlet" else [consumers(settings, outlet, tools, [])]
    with pytest.raises(Misconfigured, match="KAFKA_SASL_PASSWORD"):
        async with asyncio.timeout(20):
            await service.run(asyncio.Event())


async def test_a_command_that_publishes_says_why_it_cannot(secured: Secured, tools: Tools) -> None:
    settings = secured.settings(kafka_sasl_password=UNKNOWN)
    outlet = Outlet(client_options(settings), "", tools.clock, tools.metrics)
    await outlet.start()
    with pytest.raises(Misconfigured, match="KAFKA_SASL_PASSWORD"):
        await outlet.wait_ready(20)
    await outlet.stop()


async def test_a_reading_says_why_it_cannot(secured: Secured) -> None:
    with pytest.raises(Misconfigured, match="KAFKA_SASL_PASSWORD"):
        async with reader(secured.settings(kafka_sasl_password=UNKNOWN)):
            pass


async def test_a_password_that_is_changed_later_is_an_outage(
    secured: Secured, tools: Tools, caplog: pytest.LogCaptureFixture
) -> None:
    await secured.make_user("rotated", "sekreto-old")
    settings = secured.settings(kafka_sasl_username="rotated", kafka_sasl_password="sekreto-old")
    outlet = Outlet(client_options(settings), "", tools.clock, tools.metrics)
    await outlet.start()
    await outlet.wait_ready(10)
    await secured.make_user("rotated", "sekreto-new")
    assert outlet._producer is not None
    outlet._producer._sender.sender_task.cancel()  # it has to connect again

    async def told() -> bool:
        return "KAFKA_SASL_PASSWORD" in caplog.text

    await eventually(told, "the log says why")
    assert not any(one.done() for one in outlet.failures)
    with pytest.raises(BrokerDown):
        await outlet.publish_record(CALL_COMPLETED.name, RECORD)
    await secured.make_user("rotated", "sekreto-old")
    await outlet.wait_ready(10)
    await outlet.stop()


@pytest.mark.parametrize("command", ["ingress", "hilo topics check"])
async def test_a_process_ends_with_code_2_and_one_sentence(secured: Secured, command: str) -> None:
    code, said, logged = await ran(command, secured.settings(kafka_sasl_password=UNKNOWN))
    assert (code, said.count("\n")) == (2, 1), said
    assert said.removeprefix("ingress: ").startswith("KAFKA_SASL_USERNAME or KAFKA_SASL_PASSWORD: 127.0.0.1:")
    assert "sekreto" not in said + logged


async def ran(command: str, kafka: KafkaSettings) -> tuple[int | None, str, str]:
    """Exit code, what it said and what it logged."""
    name, *arguments = command.split()
    called = ["-c", "from ops.cli import main; main()"] if name == "hilo" else ["-m", name]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, *called, *arguments, stdout=pipe, stderr=pipe, env=os.environ | environment(kafka)
    )
    logged, said = await process.communicate()
    return process.returncode, said.decode(), logged.decode()


def environment(kafka: KafkaSettings) -> dict[str, str]:
    assert kafka.kafka_sasl_password
    return {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
        "KAFKA_SECURITY_PROTOCOL": kafka.kafka_security_protocol,
        "KAFKA_SASL_MECHANISM": kafka.kafka_sasl_mechanism,
        "KAFKA_SASL_USERNAME": str(kafka.kafka_sasl_username),
        "KAFKA_SASL_PASSWORD": kafka.kafka_sasl_password.get_secret_value(),
        "KAFKA_SSL_CAFILE": str(kafka.kafka_ssl_cafile),
        "INGRESS_PORT": "0",
        "PUBLIC_BASE_URL": "https://hooks.example.com",
        "TWILIO_ACCOUNT_SID": "AC" + "1" * 32,
        "TWILIO_AUTH_TOKEN": "s3cret",
        "TWILIO_WHATSAPP_NUMBERS": "+14155238886",
        "API_TOKEN": "x",
    }
