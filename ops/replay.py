"""`hilo replay`: what would today's code have said?"""

import typer

from kit.kafka.reading import Stored, reader
from kit.reads import Reads
from kit.settings import load
from ops.asking import open_reads
from ops.output import JSON, REVEAL, fail, runs
from ops.person import names
from ops.progress import Progress
from ops.replaying.chosen import Wanted, chosen, wanted
from ops.replaying.sealed import Showing, replayed, told
from ops.replaying.settings import ReplaySettings, setup
from ops.replaying.stories import Tale, stories
from schemas.contact import redact
from schemas.topics import CONTACT_LOG

__all__ = ["replay"]

CONTACT = typer.Option(None, "--contact", help="The records of one person: a number in any spelling, or a user id.")
TOPIC = typer.Option(None, "--topic", help="The records of this topic; contact.log if not said.")
FROM = typer.Option(None, "--from", help="Since when Kafka has them: 30m, 2h, 3d, or an ISO time.")
TO = typer.Option(None, "--to", help="Until when; now if not said.")
OFFSETS = typer.Option(None, "--offsets", help="PARTITION:FIRST-LAST, as 3:120-180.")
STEP = typer.Option(False, "--step", help="Stop at each turn that is shown: Enter goes on, q ends it.")
DIFFERING = typer.Option(False, "--differing", help="Show only what differs.")
CHECK = typer.Option(False, "--check", help="Exit code 1 if anything differs; else a replay that ends is 0.")


@runs
async def replay(
    contact: str | None = CONTACT,
    topic: str | None = TOPIC,
    begin: str | None = FROM,
    until: str | None = TO,
    offsets: str | None = OFFSETS,
    step: bool = STEP,
    only_differing: bool = DIFFERING,
    check: bool = CHECK,
    as_json: bool = JSON,
    reveal: bool = REVEAL,
) -> None:
    """What would today's code have said? Tell a story again, sealed: nothing can leave, nobody sees it.

    Records of contact.log go to a process without network, credentials or files, that runs the processor's code on a
    store in memory, with the agent's recorded answers. Each turn is then: same; changed, with a diff; new, would be
    decided now; missing, its record is gone or nothing would be decided; erased; unusable, then as now.
    """
    settings = load(ReplaySettings)
    what = wanted(contact, topic, begin, until, offsets, settings.clock().now())
    showing = Showing(as_json=as_json, reveal=reveal, only_differing=only_differing, step=step)
    showing.require_possible()
    if what.topic != CONTACT_LOG.name:
        fail(f"only {CONTACT_LOG.name} can be told again: it is the story; --into and --again copy other topics")
    tale = await _tale(settings, what)
    found = await replayed(setup(settings), tale, showing)
    told(found, tale, showing)
    if check and found.account.differing:
        raise typer.Exit(1)


async def _tale(settings: ReplaySettings, what: Wanted) -> Tale:
    async with reader(settings) as kafka, open_reads(settings) as reads:
        progress = Progress()
        people = await names(reads, what.contact) if what.contact else []
        records: list[Stored] = [one async for one in chosen(kafka, what, people, progress)]
        progress.end()
        if not records:
            fail(await _nothing(reads, what))
        return await stories(kafka, reads, records, whole=what.whole_story)


async def _nothing(reads: Reads, what: Wanted) -> str:
    if what.contact is None:
        return f"{what.topic} has no records there"
    known = await reads.contact(what.contact)
    more = "it keeps 30 days; `hilo export` shows what is stored" if known else "and nothing is stored of this contact"
    return f"{what.topic} has no records of {redact(what.contact)}: {more}"
