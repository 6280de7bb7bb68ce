"""10,000 recorded turns told again: sealed, as `hilo replay` does it, and by the same code without a seal or a pipe."""

import logging
import resource
import time
from typing import Any

import structlog

from kit.metrics import Metrics
from kit.service import Tools
from ops.replaying.sealed import Showing, lines, replayed
from processor.sealed.work import told
from tests.bench.harness import Figure, bench
from tests.conftest import FakeClock
from tests.unit.ops.past import SETUP, Past
from tests.unit.processor.states import completed, message

CONTACTS, EACH = 500, 20
ANSWER = ["Respuesta **{n}**, con *detalle* y una lista:\n* una cosa\n* otra", "¿Algo más?"]


@bench
async def replay_sealed() -> Figure:
    """Turns a second; every one is the same, and two replays have one hash."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    past = await _recorded()
    tale = await past.tale(None)
    seconds, digests = [], set[str]()
    for _ in range(2):
        began = time.monotonic()
        found = await replayed(SETUP, tale, Showing(as_json=True))
        seconds.append(time.monotonic() - began)
        digests.add(found.digest)
        assert found.account.counts == {"same": tale.steps}, found.account.sentence()
    assert len(digests) == 1
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    bare = [one async for one in told(SETUP, lines(tale.stories))]
    alone = time.monotonic() - began
    cpu_s = (used.ru_utime + used.ru_stime) / len(seconds)
    details: dict[str, Any] = {
        "cpu_s_of_children": cpu_s,
        "turns": len(bare),
        "seconds": seconds,
        "hash": digests.pop(),
        "sealed": found.sealed,
    }
    return Figure(
        unit="turns/s",
        ours=tale.steps / min(seconds),
        other=tale.steps / alone,
        other_is="the same code in one process, no seal, no pipes",
        details=details,
    )


async def _recorded() -> Past:
    """A call each, then messages: one of five in two bubbles, one of thirteen with the agent away."""
    past = Past(Tools("bench", FakeClock(), Metrics()))
    for number in range(CONTACTS * EACH):
        turn, person = divmod(number, CONTACTS)
        who = f"+3460{person:07d}"
        if turn == 0:
            call = completed(phone_number=who, conversation_id=f"c{person}")
            await past.wrote((f"call_{person}", call), contact=who)
            continue
        if person == 0:
            past.clock.advance(240)
        words = [f"pregunta {number}: ¿a qué hora es mi cita?", "y otra cosa"][: 2 if turn % 5 == 0 else 1]
        names = [f"SM{number}_{place}" for place in range(len(words))]
        known = {"address": who, "received_at": past.clock.now()}
        bubbles = [(name, message(text, message_sid=name, **known)) for name, text in zip(names, words, strict=True)]
        says = None if turn % 13 == 0 else [one.format(n=number) for one in ANSWER]
        await past.wrote(*bubbles, contact=who, says=says)
    return past
