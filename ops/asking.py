"""Asking for something through `contact.log`, and seeing that it has taken effect."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import typer

from kit.clock import Clock
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
]

CONTACT = typer.Argument(help="A phone number in any usual spelling, or a WhatsApp user id.")
BY = typer.Option("operator", "--by", help="Who asks, for the record.")
NO_WAIT = typer.Option(False, "--no-wait", help="Do not wait until it has taken effect.")
EFFECT_S = 30  # then it says what is pending, with exit code 3
LOOK_S = 0.25


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
    """Publish it, and wait until it has taken effect; `done` is said then."""
    await publish(settings, asked.contact, asked.event, asked.event_id)
    if no_wait:
        return
    async with open_reads(settings) as reads:
        await effect(lambda: asked.seen(reads), done, asked.pending)


async def effect(seen: Callable[[], Awaitable[bool]], done: str, pending: str) -> None:
    """Wait for it, 30 s at most; `pending` says what is missing then, and exit code 3."""
    for _ in range(int(EFFECT_S / LOOK_S)):
        if await seen():
            print(done)
            return
        await asyncio.sleep(LOOK_S)
    fail(f"{pending} (after {EFFECT_S} s)", 3)


@asynccontextmanager
async def open_reads(settings: OpsSettings) -> AsyncIterator[Reads]:
    mongo = Mongo(settings)
    try:
        yield Reads(mongo.database)
    finally:
        await mongo.stop()
