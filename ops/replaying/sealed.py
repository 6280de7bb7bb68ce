"""A replay in the sealed child, shown as it goes."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import typer

from ops.masking import Masking
from ops.output import document, fail
from ops.progress import Progress
from ops.replaying.child import sealed_child
from ops.replaying.stories import Tale
from ops.replaying.telling import Account, differing, lines_of
from schemas.contact import redact
from schemas.replay import Line, Result, Setup

__all__ = ["Showing", "lines", "replayed", "told"]


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


async def replayed(setup: Setup, tale: Tale, showing: Showing) -> Replayed:
    """Raises ChildFailed."""
    masking = Masking(*(one.person.contact for one in tale.stories), reveal=showing.reveal)
    account, results, progress = Account(), list[Result](), Progress("replayed", "turns")
    async with sealed_child() as child, aclosing(child.results(setup, lines(tale))) as found:
        async for result in found:
            account.add(result)
            results.append(result)
            if showing.as_json:
                progress(account.turns, tale.steps)
            elif not _shown(result, results, showing, masking):
                break
        progress.end()
        return Replayed(account, child.digest, child.sealed, results)


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
    print(f"hash {found.digest}")


def lines(tale: Tale) -> Iterator[Line]:
    """What the child is told."""
    for story in tale.stories:
        yield story.person
        yield from story.steps


def _shown(result: Result, so_far: Sequence[Result], showing: Showing, masking: Masking) -> bool:
    """Whether to go on."""
    if differing(result) or not showing.only_differing:
        if len(so_far) == 1 or so_far[-2].contact != result.contact:
            print(result.contact if showing.reveal else redact(result.contact))
        for line in lines_of(result):
            print(masking(line))
        if showing.step:
            answer = typer.prompt("Enter: next, q: quit", default="", show_default=False, err=True)
            return not str(answer).strip().lower().startswith("q")
    return True


def _plain(result: Result) -> dict[str, Any]:
    return result.model_dump(mode="json", exclude_none=True)
