"""The programs in docs/integration.md, run as they stand there."""

import asyncio
import json
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kit.kafka.outlet import Outlet
from kit.settings import KafkaSettings
from schemas.attributes import Envelope, WireRecord, decode
from schemas.contact import Contact
from schemas.events import CallCompleted
from schemas.notices import ConversationClosed
from schemas.topics import CALL_COMPLETED, SYSTEM_NOTICES
from tests.running import records

pytestmark = pytest.mark.stack
PAGE = (Path(__file__).parents[2] / "docs/integration.md").read_text()


def program(kafka: KafkaSettings, topic: str) -> str:
    """The Python block that names `topic`, with this test's prefix."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (block,) = [one for one in blocks if f'"{topic}"' in one]
    return str(block).replace(f'"{topic}"', f'"{kafka.kafka_topic_prefix}{topic}"')


async def start(kafka: KafkaSettings, code: str) -> asyncio.subprocess.Process:
    environment = {**os.environ, "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers}
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env=environment, stdout=PIPE, stderr=DEVNULL
    )


async def test_publishing_a_call(kafka: KafkaSettings) -> None:
    process = await start(kafka, program(kafka, CALL_COMPLETED.name))
    output, _ = await asyncio.wait_for(process.communicate(), 30)

    assert process.returncode == 0
    assert re.fullmatch(rb"partition \d+, offset 0\n", output)
    (record,) = await records(kafka, CALL_COMPLETED.name)
    call = decode(WireRecord(record.key, record.value, record.headers), CALL_COMPLETED.events).data
    assert isinstance(call, CallCompleted)
    assert call.phone_number == "+5215512345678"
    assert call.conversation_id == "conv_call_python_1"
    assert set(call.model_fields_set) == {f for f in CallCompleted.model_fields if getattr(call, f) is not None}


async def test_reading_notices(kafka: KafkaSettings, outlet: Outlet) -> None:
    at = datetime(2026, 11, 23, tzinfo=UTC)
    notice = ConversationClosed(contact="+525512345678", at=at, conversation_id="conv_1", message_count=3, by="janitor")
    envelope = Envelope("turn_1-conversation-closed", "hilo/processor", at, Contact(notice.contact), notice)
    await outlet.publish(SYSTEM_NOTICES.name, envelope)

    process = await start(kafka, program(kafka, SYSTEM_NOTICES.name))
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    finally:
        process.kill()
        await process.communicate()

    assert line.startswith("hilo.conversation-closed.v1 turn_1-conversation-closed {")
    assert "'message_count': 3" in line


def test_every_spelling_of_every_field_is_told() -> None:
    for name in CallCompleted.model_fields:
        camel = re.sub(r"_(\w)", lambda found: found[1].upper(), name)
        assert f"| `{camel}` | `{name}` |" in PAGE
        value = {"phone_number": "+5215512345678", "transcript": [], "ended_at": "2026-11-23T10:00:00Z"}.get(name, "x")
        told = {"phoneNumber": "+5215512345678", camel: value}
        assert name in CallCompleted.model_validate_json(json.dumps(told)).model_fields_set
