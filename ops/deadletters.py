"""`hilo deadletters`: what could not be used, why, and what to do with it."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import typer

from kit.errors import HiloError
from kit.kafka.broker import client_options
from kit.kafka.outlet import Outlet
from kit.kafka.reading import Reader, reader
from kit.metrics import Metrics
from kit.settings import load
from ops.asking import BY, open_reads
from ops.letters import Case, Done, Undertaker, Wanted, cases, one_case
from ops.masking import Masking
from ops.moments import since as moment
from ops.output import JSON, REVEAL, confirm, document, fail, runs, table
from ops.post import grouped, listed, names, whole
from ops.progress import Progress
from ops.settings import OpsSettings

__all__ = ["app"]

app = typer.Typer(help="Records that could not be used: see why, put them back, let them go.", no_args_is_help=True)

LETTER = typer.Argument(help="PARTITION-OFFSET, as `list` shows it.")
LETTERS = typer.Argument(None, help="PARTITION-OFFSET, as `list` shows it; or say which by the options.")
TOPIC = typer.Option(None, "--topic", help="Only those of this topic.")
REASON = typer.Option(None, "--reason", help="Only those buried for this reason.")
SINCE = typer.Option(None, "--since", help="Only those buried since: 30m, 2h, 3d, or an ISO time.")
ALL = typer.Option(False, "--all", help="Every open letter.")
AGAIN = typer.Option(False, "--again", help="Those too that were put back or dropped before.")
YES = typer.Option(False, "--yes", help="Do not ask.")
RATE = typer.Option(10.0, "--rate", min=0.01, max=1000, help="Letters a second.")
WHY = typer.Option(..., "--because", help="Why nobody needs them; kept with the decision.")
MOST = typer.Option(50, "--limit", min=0, help="Show the newest so many; groups count all.")
SETTLED = typer.Option(False, "--settled", help="Those too that were put back or dropped.")


@app.command("list")
@runs
async def listing(
    topic: str | None = TOPIC,
    reason: str | None = REASON,
    since: str | None = SINCE,
    settled: bool = SETTLED,
    limit: int = MOST,
    as_json: bool = JSON,
    reveal: bool = REVEAL,
) -> None:
    """Open letters: how many for which reason, and the newest ones."""
    settings = load(OpsSettings)
    wanted = Wanted(topic, reason, moment(since, settings.clock().now()) if since else None, settled)
    async with reader(settings) as kafka:
        found = await _read(kafka, wanted)
    masking, newest = Masking(reveal=reveal), found[len(found) - min(limit, len(found)) :]
    groups, letters = masking(grouped(found)), masking([listed(one) for one in newest])
    if as_json:
        document({"count": len(found), "groups": groups, "letters": letters})
        return
    if not found:
        print("no letters")
        return
    table(["reason", "topic", "count", "oldest", "newest"], groups)
    print()
    table(["letter", "buried_at", "topic", "reason", "attempts", "redrives", "fate", "detail"], letters)


@app.command()
@runs
async def show(letter: str = LETTER, as_json: bool = JSON, reveal: bool = REVEAL) -> None:
    """One letter: bytes, headers, what was wrong, how often it was tried."""
    async with reader(load(OpsSettings)) as kafka:
        case = await one_case(kafka, letter)
    shown = Masking(*names(case), reveal=reveal)(whole(case, reveal=reveal))
    if as_json:
        document(shown)
        return
    rows = [{"name": name, "value": value} for name, value in shown.items() if name not in {"headers", "payload"}]
    table(["name", "value"], [row for row in rows if row["value"] not in {None, ""}])
    print("\nheaders")
    table(["name", "value"], shown["headers"])
    print(f"\npayload\n{shown['payload']}")


@app.command()
@runs
async def redrive(
    letters: list[str] | None = LETTERS,
    topic: str | None = TOPIC,
    reason: str | None = REASON,
    since: str | None = SINCE,
    every: bool = ALL,
    again: bool = AGAIN,
    rate: float = RATE,
    by: str = BY,
    yes: bool = YES,
    as_json: bool = JSON,
) -> None:
    """Put letters back on their topics, after a fix: same key, bytes and headers, marked as put back."""
    wanted = _wanted(topic, reason, since, every=every, again=again)
    async with _work(letters, wanted, by, again=again) as (work, chosen):
        _ask(f"Put {len(chosen)} letters back on {_topics(chosen)}?", chosen, yes=yes)
        await _told("put back", chosen, partial(work.redrive, chosen, rate), as_json=as_json)


@app.command()
@runs
async def drop(
    letters: list[str] | None = LETTERS,
    topic: str | None = TOPIC,
    reason: str | None = REASON,
    since: str | None = SINCE,
    every: bool = ALL,
    because: str = WHY,
    by: str = BY,
    yes: bool = YES,
    as_json: bool = JSON,
) -> None:
    """Settle letters that nobody needs; they stay readable with `--settled` until they age out."""
    if not because.strip():
        fail("--because: say why")
    async with _work(letters, _wanted(topic, reason, since, every=every, again=False), by) as (work, chosen):
        _ask(f"Drop {len(chosen)} letters of {_topics(chosen)}?", chosen, yes=yes)
        await _told("dropped", chosen, partial(work.drop, chosen, because), as_json=as_json)


def _wanted(topic: str | None, reason: str | None, since: str | None, *, every: bool, again: bool) -> Wanted | None:
    """None where no option says which letters."""
    if not (topic or reason or since or every):
        return None
    return Wanted(topic, reason, moment(since, load(OpsSettings).clock().now()) if since else None, settled=again)


@asynccontextmanager
async def _work(
    letters: list[str] | None, wanted: Wanted | None, by: str, *, again: bool = False
) -> AsyncIterator[tuple[Undertaker, list[Case]]]:
    if bool(letters) == (wanted is not None):
        fail("say which letters: PARTITION-OFFSET, or one of --reason, --topic, --since, --all")
    settings = load(OpsSettings)
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, settings.clock(), Metrics())
    async with reader(settings) as kafka, open_reads(settings) as reads:
        chosen = await _read(kafka, wanted) if wanted else [await one_case(kafka, one) for one in letters or ()]
        if not chosen:
            fail("no letters")
        await outlet.start()
        try:
            await outlet.wait_ready(5)
            yield Undertaker(kafka, outlet, reads, settings.clock(), by=by, again=again), chosen
        finally:
            await outlet.stop()


async def _read(kafka: Reader, wanted: Wanted) -> list[Case]:
    progress = Progress()
    try:
        return await cases(kafka, wanted, progress)
    finally:
        progress.end()


def _topics(chosen: Sequence[Case]) -> str:
    return ", ".join(sorted({case.letter.origin.topic or "?" for case in chosen}))


def _ask(question: str, chosen: Sequence[Case], *, yes: bool) -> None:
    """One letter that was named needs no question."""
    if not yes and len(chosen) > 1:
        confirm(question)


async def _told(
    what: str, chosen: Sequence[Case], work: Callable[[Done], Coroutine[Any, Any, None]], *, as_json: bool
) -> None:
    """Do it, and say how far it came, whatever ends it."""
    done = Done(left=[case.letter.id for case in chosen])
    try:
        await work(done)
    except (HiloError, asyncio.CancelledError):
        print(f"{len(done.settled)} {what}, {len(done.left)} not come to", file=sys.stderr)
        raise
    if as_json:
        document({"settled": done.settled, "skipped": done.skipped})
    else:
        print(f"{len(done.settled)} {what}")
        for letter, why in done.skipped.items():
            print(f"{letter} not {what}: {why}", file=sys.stderr)
    if done.skipped:
        raise typer.Exit(1)
