"""A replay in the sealed child, shown as it goes."""

import asyncio
import hashlib
import os
import sys
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from typing import Any

from ops.masking import Masking
from ops.output import document, fail
from ops.progress import Progress
from ops.replaying.child import Child, ChildFailed, sealed_children
from ops.replaying.stories import Story, Tale
from ops.replaying.telling import Account, differing, lines_of
from schemas.contact import redact
from schemas.replay import Line, Result, Setup

__all__ = ["Showing", "lines", "replayed", "told"]

MOST_CHILDREN = AGENTS = 4
WORTH_A_CHILD = 500  # turns


@dataclass(frozen=True, slots=True)
class Showing:
    as_json: bool = False
    reveal: bool = False
    only_differing: bool = False
    step: bool = False

    def require_possible(self) -> None:
        if self.step and (self.as_json or not (sys.stdin.isatty() and sys.stdout.isatty())):
            fail("--step needs a terminal, and no --json")


@dataclass(frozen=True, slots=True)
class Replayed:
    account: Account
    digest: str
    sealed: str
    results: list[Result]


async def replayed(setup: Setup, tale: Tale, showing: Showing, results: list[Result] | None = None) -> Replayed:
    """A list that is given grows meanwhile: it has what was paid for, whatever ends this. Raises ChildFailed."""
    results = [] if results is None else results
    masking = Masking(*(one.person.contact for one in tale.stories), reveal=showing.reveal)
    account, shown = Account(), list[Result]()
    digest, jobs = hashlib.sha256(), _jobs(setup, tale)
    async with sealed_children(jobs) as children, aclosing(_results(children, setup, tale)) as found:
        progress = Progress("replayed", "turns")
        async for result in found:
            if not results:
                progress = Progress("replayed", "turns")  # starting a child is no work on turns
            digest.update(result.model_dump_json(exclude_defaults=True).encode())
            account.add(result)
            results.append(result)
            if showing.as_json or (showing.only_differing and not differing(result)):
                progress(account.turns, tale.steps)
                continue
            progress.end()
            _show(result, shown, masking, reveal=showing.reveal)
            shown.append(result)
            if showing.step and (await _line()).strip().lower().startswith("q"):
                break
        progress.end()
        return Replayed(account, digest.hexdigest(), children[0].sealed, results)


def told(found: Replayed, tale: Tale, showing: Showing) -> None:
    """The summary."""
    masking = Masking(*(one.person.contact for one in tale.stories), reveal=showing.reveal)
    if showing.as_json:
        counts = dict(found.account.counts)
        summary = {"turns": found.account.turns, "counts": counts, "copies": tale.copies, "older": tale.aged}
        turns = [_plain(one) for one in found.results if differing(one) or not showing.only_differing]
        document(masking({**summary, "hash": found.digest, "sealed": found.sealed, "results": turns}))
        return
    print(found.account.sentence())
    if tale.copies:
        print(f"{tale.copies} records are copies of others")
    if tale.aged:
        print(f"{tale.aged} older turns have no record in the log any more")
    if found.account.turns < tale.steps:
        print(f"stopped after {found.account.turns} of {tale.steps}")
    else:
        print(f"hash {found.digest}")


def lines(stories: Sequence[Story]) -> Iterator[Line]:
    """What a child is told."""
    for story in stories:
        yield story.person
        yield from story.steps


def _jobs(setup: Setup, tale: Tale) -> int:
    """A child takes a second to start: it has to be worth it. Waiting for an agent costs no processor."""
    most = AGENTS if setup.asking else os.cpu_count() or 1
    worth = tale.steps if setup.asking else tale.steps // WORTH_A_CHILD
    return max(1, min(most, MOST_CHILDREN, worth, len(tale.stories)))


async def _results(children: Sequence[Child], setup: Setup, tale: Tale) -> AsyncGenerator[Result, None]:
    """In the order of the tale, whoever of them tells it."""
    count = len(children)
    async with AsyncExitStack() as stack:
        parts = [lines(tale.stories[number::count]) for number in range(count)]
        each = [child.results(setup, part) for child, part in zip(children, parts, strict=True)]
        for one in each:
            await stack.enter_async_context(aclosing(one))
        for number, story in enumerate(tale.stories):
            for _ in story.steps:
                yield await _next(each[number % count])
        for one in each:
            async for _ in one:  # none: but it tells how the child ended
                continue


async def _next(results: AsyncGenerator[Result, None]) -> Result:
    async for result in results:
        return result
    raise ChildFailed("the sealed child ended before its work was done")


def _show(result: Result, so_far: Sequence[Result], masking: Masking, *, reveal: bool) -> None:
    if not so_far or so_far[-1].contact != result.contact:
        print(result.contact if reveal else redact(result.contact))
    for line in lines_of(result):
        print(masking(line))


async def _line() -> str:
    """What a person types, awaited, so that Ctrl-C ends it."""
    print("Enter: next, q: quit ", end="", file=sys.stderr, flush=True)
    loop, typed = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(sys.stdin, typed.set)
    try:
        await typed.wait()
    finally:
        loop.remove_reader(sys.stdin)
    return os.read(sys.stdin.fileno(), 1024).decode("utf-8", "replace") or "q"  # the terminal is gone


def _plain(result: Result) -> dict[str, Any]:
    return result.model_dump(mode="json", exclude_none=True)
