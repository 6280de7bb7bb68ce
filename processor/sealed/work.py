"""The child's work: a line in, a line out, until there is none."""

import asyncio
import json
import logging
import random
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TextIO

import structlog
from pydantic import TypeAdapter

from kit.service import calm_collector
from processor.drafts import Policy
from processor.sealed.recorded import RecordedAgent
from processor.sealed.replaying import Retold, Telling
from schemas.replay import Asking, Line, Person, Result, Setup, Step

__all__ = ["policy", "told", "work"]

LINE: TypeAdapter[Line] = TypeAdapter(Line)


def work(setup: bytes, lines: Iterable[bytes], results: TextIO, *, alone: bool) -> int:
    random.seed(0)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    calm_collector()
    print(json.dumps({"sealed": "no network" if alone else "no way out"}), file=results, flush=True)
    asyncio.run(_work(Setup.model_validate_json(setup), lines, results))
    return 0


async def _work(setup: Setup, lines: Iterable[bytes], results: TextIO) -> None:
    async for result in told(setup, (LINE.validate_json(line) for line in lines)):
        print(result.model_dump_json(exclude_defaults=True), file=results, flush=True)


async def told(setup: Setup, lines: Iterable[Line]) -> AsyncIterator[Result]:
    """One result for each step. A person's steps follow the person."""
    story: Retold | None = None
    async with _agent(setup.asking) as agent:
        for line in lines:
            if isinstance(line, Person):
                story = Retold(line, policy(setup), agent, as_recorded=setup.asking is not None)
                await story.begin()
            elif isinstance(line, Step) and story:
                yield await story.step(line)


def policy(setup: Setup) -> Policy:
    return Policy(
        channels=setup.channels,
        default_agent_id=setup.default_agent_id,
        default_language=setup.default_language,
        greeting_template_sid=setup.greeting_template_sid,
        reply_max_age=timedelta(seconds=setup.reply_max_age_s),
        turns_per_hour=setup.turns_per_hour,
    )


@asynccontextmanager
async def _agent(asking: Asking | None) -> AsyncIterator[Telling]:
    if asking is None:
        yield RecordedAgent()
        return
    from processor.sealed.asking import live

    async with live(asking) as agent:
        yield agent
