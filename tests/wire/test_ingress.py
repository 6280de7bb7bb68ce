"""The ingress as a service: real sockets, real signatures, real Kafka."""

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from twilio.request_validator import RequestValidator

from ingress.app import build
from ingress.settings import IngressSettings
from kit.clock import SystemClock
from kit.kafka import topics
from kit.metrics import Metrics
from kit.service import Tools
from kit.settings import KafkaSettings
from sandbox.elevenlabs import sign
from sandbox.stack.kafka import KafkaServer
from sandbox.stack.ports import free_ports
from schemas.topics import CALL_COMPLETED, CONTACT_LOG, DEAD_LETTERS, MESSAGE_STATUS
from tests.running import eventually, records, running
from tests.unit.ingress import rig

ACCOUNT, TOKEN, NUMBER = "AC" + "1" * 32, "s3cret", "+14155238886"
PUBLIC = "https://hooks.example.com/hilo"  # behind a proxy that strips nothing: signatures cover this
FORM = rig.FORM | {"X_New": ""}
WEBHOOK_SECRET = "wsec_test"
POST_CALL = "/webhook/elevenlabs/post-call"
INCOMING, STATUS, START = "/webhook/twilio/incoming", "/webhook/twilio/status", "/api/conversations/start-post-call"
CALL = {"phoneNumber": "+52 1 55 1234 5678", "clientName": "Ana", "call_summary": "la cita", "conversationId": "c1"}


def settings(kafka: KafkaSettings, port: int) -> IngressSettings:
    return IngressSettings(
        **kafka.model_dump(),
        ingress_port=port,
        public_base_url=PUBLIC,
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=TOKEN,
        twilio_whatsapp_numbers=NUMBER,
        api_token="first,second",
        elevenlabs_webhook_secret=WEBHOOK_SECRET,
        _env_file=None,
    )


@pytest.fixture
async def client(kafka: KafkaSettings) -> AsyncIterator[httpx.AsyncClient]:
    (port,) = free_ports(1)
    service = build(settings(kafka, port), Tools("ingress", SystemClock(), Metrics()))
    async with running(service), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        await eventually(lambda: _published(client), "Kafka reached")
        yield client


async def _published(client: httpx.AsyncClient) -> bool:
    return (await post(client, STATUS, FORM | {"MessageStatus": "sent"})).status_code == 200


async def post(
    client: httpx.AsyncClient, path: str, form: dict[str, str], *, signature: str | None = None
) -> httpx.Response:
    signed = RequestValidator(TOKEN).compute_signature(PUBLIC + path, form)
    return await client.post(path, data=form, headers={"X-Twilio-Signature": signature or signed})


async def test_a_signed_message_is_in_the_contact_log_before_it_is_acknowledged(
    client: httpx.AsyncClient, kafka: KafkaSettings
) -> None:
    answer = await post(client, INCOMING, FORM)
    assert (answer.status_code, answer.headers["content-type"], answer.text) == (
        200,
        "text/xml; charset=utf-8",
        "<Response/>",
    )
    (record,) = await records(kafka, CONTACT_LOG.name)
    headers = {name: value.decode() for name, value in record.headers}
    assert record.key == b"+525512345678"
    assert (headers["ce_id"], headers["ce_type"]) == (FORM["MessageSid"], "hilo.message-received.v1")
    assert headers["traceparent"].startswith("00-")
    body = json.loads(record.value or b"")
    assert (body["address"], body["text"], body["fields"]) == ("+5215512345678", FORM["Body"], {"X_New": ""})


async def test_a_status_names_its_send_and_its_attempt(client: httpx.AsyncClient, kafka: KafkaSettings) -> None:
    path = f"{STATUS}?send=turn_1-1&attempt=2"
    assert (await post(client, path, FORM | {"MessageStatus": "delivered"})).status_code == 200
    found = [json.loads(one.value or b"") for one in await records(kafka, MESSAGE_STATUS.name, 2)]
    (ours,) = [one for one in found if one.get("send_id")]
    assert (ours["send_id"], ours["attempt"], ours["status"]) == ("turn_1-1", 2, "delivered")


@pytest.mark.parametrize(
    ("form", "signature", "status"),
    [
        (FORM, "bm90IGl0", 403),
        (FORM | {"AccountSid": "AC" + "2" * 32}, None, 403),
        (FORM | {"To": "whatsapp:+10000000000"}, None, 403),
    ],
    ids=["wrong signature", "another account", "not our number"],
)
async def test_what_is_not_for_us_is_refused_and_nothing_is_published(
    client: httpx.AsyncClient, kafka: KafkaSettings, form: dict[str, str], signature: str | None, status: int
) -> None:
    assert (await post(client, INCOMING, form, signature=signature)).status_code == status
    assert await records(kafka, CONTACT_LOG.name, 0, within=1) == []


async def test_unsigned_not_a_form_and_too_large(client: httpx.AsyncClient, kafka: KafkaSettings) -> None:
    assert (await client.post(INCOMING, data=FORM)).status_code == 403
    assert (await client.post(INCOMING, json=FORM)).status_code == 415
    assert (await client.post(INCOMING, data={"Body": "x" * 300_000})).status_code == 413
    assert await records(kafka, CONTACT_LOG.name, 0, within=1) == []


@pytest.mark.expects_errors
async def test_a_sender_without_a_usable_address_is_kept_as_a_dead_letter(
    client: httpx.AsyncClient, kafka: KafkaSettings
) -> None:
    answer = await post(client, INCOMING, FORM | {"From": "whatsapp:anonymous"})
    assert (answer.status_code, answer.text) == (200, "<Response/>")
    (letter,) = await records(kafka, DEAD_LETTERS.name)
    assert b"From=whatsapp%3Aanonymous" in (letter.value or b"")
    assert dict(letter.headers)["hilo_dead_topic"] == INCOMING.encode()


async def start(client: httpx.AsyncClient, body: Any, token: str | None = "first") -> httpx.Response:
    return await client.post(START, json=body, headers={"Authorization": f"Bearer {token}"} if token else {})


async def test_a_call_is_accepted_in_either_spelling_and_twice_is_once(
    client: httpx.AsyncClient, kafka: KafkaSettings
) -> None:
    first = await start(client, CALL)
    again = await start(client, {"phone_number": "+525512345678", "conversation_id": "c1"}, token="second")
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json() == again.json() == {"eventId": first.json()["eventId"]}
    found = await records(kafka, CALL_COMPLETED.name, 2)
    assert {dict(one.headers)["ce_id"].decode() for one in found} == {first.json()["eventId"]}


@pytest.mark.parametrize(
    ("body", "token", "status", "field"),
    [
        (CALL, None, 401, None),
        (CALL, "third", 401, None),
        (CALL | {"phoneNumber": "call me"}, "first", 422, "phoneNumber"),
        ({"clientName": "Ana"}, "first", 422, "phoneNumber"),
        (CALL | {"clientName": 7}, "first", 422, "clientName"),
        ([], "first", 422, "body"),
    ],
    ids=["no token", "wrong token", "unusable number", "no number", "wrong type", "no object"],
)
async def test_a_call_that_cannot_be_used_names_the_field(
    client: httpx.AsyncClient, body: Any, token: str | None, status: int, field: str | None
) -> None:
    answer = await start(client, body, token)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert [one["field"] for one in answer.json().get("errors", [])] == ([field] if field else [])
    assert "call me" not in answer.text


def told(**data: Any) -> bytes:
    """ElevenLabs' post-call webhook."""
    about = {"metadata": {"phone_call": {"external_number": "+5215512345678"}}, "analysis": None}
    lines = [{"role": "user", "message": "Quiero una cita"}]
    call = {"conversation_id": "c1", "agent_id": "a", "transcript": lines} | about | data
    return json.dumps({"type": "post_call_transcription", "data": call}).encode()


async def tell(client: httpx.AsyncClient, body: bytes, *, secret: str = WEBHOOK_SECRET, late_s: int = 0) -> int:
    signature = sign(secret, int(time.time()) - late_s, body.decode())
    headers = {"content-type": "application/json", "ElevenLabs-Signature": signature}
    return (await client.post(POST_CALL, content=body, headers=headers)).status_code


async def test_the_facts_of_a_call_are_published_and_a_repeat_has_the_same_id(
    client: httpx.AsyncClient, kafka: KafkaSettings
) -> None:
    """However large: what the tools of a long call said comes with it."""
    large = told(metadata={"phone_call": {"external_number": "+5215512345678"}, "x": "y" * 1_000_000})
    assert [await tell(client, body) for body in (told(), told(), large)] == [200, 200, 200]
    found = await records(kafka, CONTACT_LOG.name, 3)
    headers = [{name: value.decode() for name, value in one.headers} for one in found]
    assert {one["ce_type"] for one in headers} == {"hilo.call-facts.v1"}
    assert len({one["ce_id"] for one in headers}) == 1
    assert {one.key for one in found} == {b"+525512345678"}
    assert json.loads(found[0].value or b"")["transcript"] == [{"role": "user", "message": "Quiero una cita"}]


async def test_what_is_no_news_of_a_call_is_not_published(client: httpx.AsyncClient, kafka: KafkaSettings) -> None:
    assert await tell(client, told(), secret="wsec_other") == 403
    assert await tell(client, told(), late_s=301) == 403  # a replay
    assert (await client.post(POST_CALL, json={})).status_code == 403
    assert await tell(client, told(metadata={"text_only": True})) == 200  # our own chat
    assert await tell(client, b"{") == 422
    assert await tell(client, b" " * 5_000_000) == 413
    assert await records(kafka, CONTACT_LOG.name, 0, within=1) == []


async def test_probes_and_metrics(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health")).json() == {"status": "ok", "service": "ingress"}
    assert (await client.get("/ready")).status_code == 200
    assert 'hilo_webhooks_total{route="/webhook/twilio/status",status="200"}' in (await client.get("/metrics")).text


async def test_broker_away_is_503_within_three_seconds_and_recovery_needs_nobody(tmp_path: Path) -> None:
    async with KafkaServer(tmp_path, free_ports(1)[0]) as broker:
        kafka = KafkaSettings(kafka_bootstrap_servers=broker.bootstrap_servers, _env_file=None)
        await topics.create(kafka, 1)
        (port,) = free_ports(1)
        service = build(settings(kafka, port), Tools("ingress", SystemClock(), Metrics()))
        url = f"http://127.0.0.1:{port}"
        async with running(service), httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client:
            await eventually(lambda: _published(client), "Kafka reached")
            await broker.kill()
            for _ in range(3):
                answer = await post(client, INCOMING, FORM)
                assert (answer.status_code, answer.elapsed.total_seconds() < 3) == (503, True)
            assert (await client.get("/health")).status_code == 200
            await broker.start()
            await eventually(lambda: _published(client), "recovery", within=30)
