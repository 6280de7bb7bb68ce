"""The ways of a replay, each from the records to the last line."""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import typer

from kit.errors import HiloError, Misconfigured
from kit.kafka.reading import Reader, Stored, reader
from kit.reads import Reads
from kit.settings import KafkaSettings
from ops.asking import open_reads
from ops.masking import Masking
from ops.output import confirm, document, fail
from ops.person import names
from ops.progress import Progress
from ops.replaying.again import expected, require_harmless
from ops.replaying.chosen import Wanted, WrongChoice, chosen
from ops.replaying.copying import Copied, Copying, elsewhere, open_outlet, require_target
from ops.replaying.report import markdown, report
from ops.replaying.sealed import Showing, replayed, told
from ops.replaying.settings import ReplaySettings, setup
from ops.replaying.stories import Tale, stories
from schemas.contact import redact
from schemas.replay import Result
from schemas.topics import CONTACT_LOG

__all__ = ["Showing", "again", "asked", "into", "require_one", "sealed"]


def require_one(
    *, into: str | None, again: bool, agent: str | None, report: Path | None, step: bool, check: bool
) -> None:
    """Raises WrongChoice where two ways are asked for at once."""
    if (into is not None) + again + (agent is not None) > 1:
        raise WrongChoice("one of --into, --again and --agent")
    if (into is not None or again) and (step or check):
        raise WrongChoice("--step and --check are for a replay: a copy compares nothing")
    if step and agent is not None:
        raise WrongChoice("--step is for recorded answers: a live agent would be asked ahead of you")
    if report and agent is None:
        raise WrongChoice("--report tells what another agent said: name it with --agent")


async def sealed(settings: ReplaySettings, what: Wanted, showing: Showing, *, check: bool) -> None:
    showing.require_possible()
    _require_numbers(settings)
    tale = await _tale(settings, what)
    found = await replayed(setup(settings), tale, showing)
    told(found, tale, showing)
    if check and found.account.differing:
        raise typer.Exit(1)


async def asked(
    settings: ReplaySettings, what: Wanted, showing: Showing, agent_id: str, path: Path | None, *, yes: bool
) -> None:
    showing.require_possible()
    if not settings.elevenlabs_api_key.get_secret_value():
        raise Misconfigured(["ELEVENLABS_API_KEY is missing: the agent is asked with it"])
    _require_numbers(settings)
    if path:
        _require_writable(path)  # before anything is paid for
    tale = await _tale(settings, what)
    turns = sum(bool(step.turn and step.turn.raw_reply) for story in tale.stories for step in story.steps)
    if not yes:
        confirm(f"Really ask {agent_id} in about {turns} turns? It is billed, and its own tools run.")
    masking, heard = Masking(*(one.person.contact for one in tale.stories), reveal=showing.reveal), list[Result]()
    try:
        await replayed(setup(settings, agent_id), tale, showing, heard)
    except BaseException:
        _write(path if heard else None, masking(report(agent_id, heard)))
        raise
    written = masking(report(agent_id, heard))
    _write(path, written)
    if showing.as_json:
        document(written)
    else:
        print(markdown({**written, "by_turn": []} if path else written), end="")
    if written["asked"] and written["asked"] == written["unavailable"]:
        fail(f"{agent_id} answered nothing: {written['by_turn'][-1]['now']['fault']}")


async def into(settings: ReplaySettings, what: Wanted, where: str, *, by: str, rate: float, as_json: bool) -> None:
    target = elsewhere(settings, where)
    await require_target(settings, target, what.topic)
    async with reader(settings) as kafka, open_reads(settings) as reads:
        records = await _records(kafka, reads, what)
    await _copied(target, records, "into", by=by, rate=rate, as_json=as_json)


async def again(settings: ReplaySettings, what: Wanted, *, by: str, rate: float, yes: bool, as_json: bool) -> None:
    require_harmless(what.topic)
    async with reader(settings) as kafka, open_reads(settings) as reads:
        records = await _records(kafka, reads, what)
        counts = await expected(reads, what.topic, records)
    says = {"undecided": "are decided now", "decided": "stay decided", "unusable": "become dead letters again"}
    about = ", ".join(f"{counts[name]} {name} ({then})" for name, then in says.items() if counts[name])
    if not yes:
        confirm(f"Put {len(records)} records back on {what.topic}? {about}.")
    await _copied(settings, records, "again", by=by, rate=rate, as_json=as_json)


async def _copied(
    target: KafkaSettings, records: Sequence[Stored], mode: str, *, by: str, rate: float, as_json: bool
) -> None:
    """Do it, and say how far it came, whatever ends it."""
    copied, progress, topic = Copied(left=len(records)), Progress("copied"), records[0].position.topic
    where = f"{target.kafka_topic_prefix}{topic}"
    try:
        async with open_outlet(target) as outlet:
            work = Copying(outlet, target.clock(), by=by, mode=mode)
            async with aclosing(work.copy(records, copied, rate=rate)) as steps:
                async for done in steps:
                    progress(done, len(records))
    except (HiloError, asyncio.CancelledError):
        print(f"{copied.done} put on {where}, {copied.left} not come to", file=sys.stderr)
        raise
    finally:
        progress.end()
    if as_json:
        document({"topic": where, "records": copied.done, "skipped": copied.skipped})
    else:
        print(f"{copied.done} records put on {where}")
        for position, why in copied.skipped.items():
            print(f"{position} left out: {why}", file=sys.stderr)
    if copied.skipped:
        raise typer.Exit(1)


async def _tale(settings: ReplaySettings, what: Wanted) -> Tale:
    if what.topic != CONTACT_LOG.name:
        raise WrongChoice(
            f"only {CONTACT_LOG.name} can be told again: it is the story; --into and --again copy other topics"
        )
    async with reader(settings) as kafka, open_reads(settings) as reads:
        records = await _records(kafka, reads, what)
        return await stories(kafka, reads, records, whole=what.whole_story)


async def _records(kafka: Reader, reads: Reads, what: Wanted) -> list[Stored]:
    """At least one."""
    progress = Progress()
    people = await names(reads, what.contact) if what.contact else []
    found = [one async for one in chosen(kafka, what, people, progress)]
    progress.end()
    if not found:
        fail(await _nothing(reads, what))
    return found


def _require_numbers(settings: ReplaySettings) -> None:
    """Raises Misconfigured."""
    if not settings.twilio_whatsapp_numbers:
        raise Misconfigured(["TWILIO_WHATSAPP_NUMBERS is missing: the processor's own rules need it"])


async def _nothing(reads: Reads, what: Wanted) -> str:
    if what.contact is None:
        return f"{what.topic} has no records there"
    known = await reads.contact(what.contact)
    more = "`hilo export` shows what is stored" if known else "nothing is stored of this contact either"
    return f"{what.topic} has no records of {redact(what.contact)} there: {more}"


def _require_writable(path: Path) -> None:
    """What stands there stays until there is a new report; and where nothing stands, nothing does."""
    stands = path.exists()
    try:
        path.open("a", encoding="utf-8").close()
        if not stands:
            path.unlink()
    except OSError as error:
        fail(f"--report {path}: {error.strerror}")


def _write(path: Path | None, written: dict[str, Any]) -> None:
    if path is None:
        return
    as_json = path.suffix == ".json"
    text = json.dumps(written, ensure_ascii=False, indent=2) if as_json else markdown(written)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        fail(f"--report {path}: {error.strerror}")
