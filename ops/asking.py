"""Asking for something through `contact.log`, and seeing that it has taken effect."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import typer

from kit.clock import Clock
from kit.errors import BrokerDown, StoreDown
from kit.kafka.broker import client_options
from kit.kafka.outlet import Outlet
from kit.metrics import Metrics
from kit.mongo import Mongo
from kit.reads import Reads
from ops.asked import Asked
from ops.output import fail
from ops.settings import OpsSettings
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.events import Event
from schemas.topics import CONTACT_LOG

__all__ = [
    "BY",
    "CONTACT",
    "EFFECT_S",
    "LOOK_S",
    "NO_WAIT",
    "carry_out",
    "effect",
    "open_reads",
    "publish",
    "put",
    "waited",
]

CONTACT = typer.Argument(help="A phone number in any usual spelling, or a WhatsApp user id.")
BY = typer.Option("operator", "--by", help="Who asks, for the record.")
NO_WAIT = typer.Option(False, "--no-wait", help="Do not wait until it has taken effect.")
EFFECT_S = 30  # then it says what is pending, with exit code 3
LOOK_S = 0.25
LOGGED = "the request is in the log and goes on"
UNSURE = "Kafka did not acknowledge the request, which may still come: look at the conversation before you repeat it"


async def publish(settings: OpsSettings, contact: Contact, event: Event, event_id: str) -> None:
    """Raises BrokerDown."""
    clock = settings.clock()
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, clock, Metrics())
    await outlet.start()
    try:
        await outlet.wait_ready(5)
        await put(outlet, clock, contact, event, event_id)
    finally:
        await outlet.stop()


async def put(outlet: Outlet, clock: Clock, contact: Contact, event: Event, event_id: str) -> None:
    """Through an outlet that is open already. Raises BrokerDown."""
    await outlet.publish(CONTACT_LOG.name, Envelope(event_id, "hilo/ops", clock.now(), contact, event))


async def carry_out(settings: OpsSettings, asked: Asked, done: str, *, no_wait: bool) -> None:
    """Publish it, and wait until it has taken effect; `done` is said then. Else it says so, with exit code 3."""
    so_far = LOGGED
    try:
        await publish(settings, asked.contact, asked.event, asked.event_id)
    except BrokerDown as error:
        if not error.sent:
            raise
        so_far = UNSURE
    if no_wait:
        if so_far == UNSURE:
            fail(UNSURE, 3)
        return
    async with open_reads(settings) as reads:
        await effect(lambda: asked.seen(reads), done, asked.pending, so_far)


async def effect(seen: Callable[[], Awaitable[bool]], done: str, missing: str, so_far: str = LOGGED) -> None:
    """Wait for it; after 30 s it says what is missing, or what the store said, and `so_far`, with exit code 3."""

    async def pending() -> str:
        return "" if await seen() else missing

    try:
        waits = await waited(pending)
    except asyncio.CancelledError:  # Ctrl-C takes nothing back
        print(so_far, file=sys.stderr)
        raise
    if waits:
        fail(f"{waits} (after {EFFECT_S} s; {so_far})", 3)
    print(done)


async def waited(pending: Callable[[], Awaitable[str]]) -> str:
    """What is still pending after 30 s; a store that is away meanwhile is no end: the request is in the log."""
    until = time.monotonic() + EFFECT_S
    while True:
        try:
            waits = await pending()
        except StoreDown as error:
            waits = str(error)
        if not waits or time.monotonic() >= until:
            return waits
        await asyncio.sleep(LOOK_S)


@asynccontextmanager
async def open_reads(settings: OpsSettings) -> AsyncIterator[Reads]:
    mongo = Mongo(settings)
    try:
        yield Reads(mongo.database)
    finally:
        await mongo.stop()
