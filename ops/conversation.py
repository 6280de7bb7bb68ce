"""`hilo conversation` shows one, `hilo close` asks for its closing and waits until it happened."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import typer

from kit import ids
from kit.kafka.broker import client_options
from kit.kafka.outlet import Outlet
from kit.metrics import Metrics
from kit.mongo import Mongo
from kit.reads import Reads
from kit.settings import load
from ops.output import JSON, REVEAL, document, fail, runs, table
from ops.settings import OpsSettings
from schemas.attributes import Envelope
from schemas.contact import Contact, canonical, parse_address, redact
from schemas.documents import ConversationDocument
from schemas.events import CloseRequested
from schemas.topics import CONTACT_LOG

__all__ = ["close", "conversation"]

CONTACT = typer.Argument(help="A phone number in any usual spelling, or a WhatsApp user id.")
EFFECT_S = 30  # then it says what is pending, with exit code 3


@runs
async def conversation(contact: str = CONTACT, as_json: bool = JSON, reveal: bool = REVEAL) -> None:
    """State and last messages of the newest conversation with a contact."""
    key = canonical(parse_address(contact))
    async with _reads(load(OpsSettings)) as reads:
        found = await _newest(reads, key)
        messages = await reads.messages(found.id)
        sends = await reads.sends([one.id for one in messages if one.direction == "outbound"])
    shown = key if reveal else redact(key)
    rows: list[dict[str, Any]] = [
        {
            "at": one.timestamp.isoformat(timespec="seconds"),
            "who": "client" if one.direction == "inbound" else "we",
            "text": one.content,
            "delivery": (sends[one.id].status or sends[one.id].state) if one.id in sends else "",
        }
        for one in messages
    ]
    if as_json:
        hidden = {"lines", "rev", "open_key", "seq", "contact", "phone_number"}
        document({"contact": shown, **found.model_dump(mode="json", exclude=hidden), "messages": rows})
        return
    print(f"{found.id}  {shown}  {found.status}  {found.source}  {found.message_count} messages")
    table(["at", "who", "text", "delivery"], rows)


@runs
async def close(
    contact: str = CONTACT,
    by: str = typer.Option("operator", help="Who asks, for the record."),
    no_wait: bool = typer.Option(False, "--no-wait", help="Do not wait until it has taken effect."),
) -> None:
    """Close the open conversation with a contact, if nothing happens in it meanwhile."""
    settings = load(OpsSettings)
    key = canonical(parse_address(contact))
    async with _reads(settings) as reads:
        found = await _newest(reads, key)
        if found.status == "closed":
            fail(f"the conversation with {redact(key)} is closed already")
        await _request(settings, key, found, by)
        if no_wait:
            return
        if await _closed(reads, found.id):
            print(f"closed {found.id}")
            return
    fail(f"{found.id} is not closed after {EFFECT_S} s: is the processor running, or did the client write?", 3)


async def _request(settings: OpsSettings, contact: Contact, found: ConversationDocument, by: str) -> None:
    clock = settings.clock()
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, clock, Metrics())
    await outlet.start()
    try:
        await outlet.wait_ready(5)
        request = CloseRequested(conversation_id=found.id, last_message_at=found.last_message_at, by=by)
        event_id = ids.close_id(found.id, f"{by} {found.last_message_at.isoformat()} {clock.now().isoformat()}")
        await outlet.publish(CONTACT_LOG.name, Envelope(event_id, "hilo/ops", clock.now(), contact, request))
    finally:
        await outlet.stop()


async def _closed(reads: Reads, conversation: str) -> bool:
    for _ in range(EFFECT_S * 4):
        found = await reads.conversation(conversation)
        if found and found.status == "closed":
            return True
        await asyncio.sleep(0.25)
    return False


async def _newest(reads: Reads, contact: Contact) -> ConversationDocument:
    found = await reads.conversations(contact, limit=1)
    if not found:
        fail(f"no conversation with {redact(contact)}")
    return found[0]


@asynccontextmanager
async def _reads(settings: OpsSettings) -> AsyncIterator[Reads]:
    mongo = Mongo(settings)
    try:
        yield Reads(mongo.database)
    finally:
        await mongo.stop()
