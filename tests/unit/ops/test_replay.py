"""Stories told again to today's code, in this process: what is the same, and what is not."""

from datetime import timedelta
from typing import Any

import pytest

from kit.service import Tools
from schemas.documents import TurnDocument
from schemas.events import (
    AddressRefused,
    CloseRequested,
    HandedBack,
    OperatorSaid,
    TakenOver,
)
from tests.unit.ops.past import Past
from tests.unit.processor.states import completed, message

OTHER = "+34600111222"


@pytest.fixture
def past(tools: Tools) -> Past:
    return Past(tools)


def msg(past: Past, text: str, number: int = 1, **more: Any) -> tuple[str, Any]:
    return f"SM{number}", message(text, message_sid=f"SM{number}", received_at=past.clock.now(), **more)


async def a_life(past: Past) -> None:
    """A bit of everything that can be decided."""
    await past.wrote(("call_1", completed(conversation_id="c1")))
    await past.wrote(msg(past, "hola,", 1), msg(past, "¿cuándo es mi cita?", 2), says=["El **martes**.", "A las 10."])
    await past.wrote(msg(past, "¿y el médico?", 3), says=None)
    await past.wrote(msg(past, "nada", 4), says=[])
    tools = [{"name": "escalate_to_human", "parameters": {"reason": "pide humano"}}]
    await past.wrote(msg(past, "quiero una persona", 5), says=["Te paso."], outcome="escalated", tools=tools)
    await past.wrote(msg(past, "¿sigues?", 6))
    await past.wrote(("op1", OperatorSaid(by="ana", text="Soy Ana.")))
    await past.wrote(msg(past, "gracias, ¿y el precio?", 7))
    await past.wrote(("hb1", HandedBack(by="ana")), says=["Son 20 €."])
    await past.wrote(("to1", TakenOver(by="ana")))
    await past.wrote(("hb2", HandedBack(by="ana")))
    await past.wrote(msg(past, "", 8, kind="audio"))
    await past.wrote(msg(past, "baja", 9))
    await past.wrote(msg(past, "alta", 10))
    await past.wrote(("r1", AddressRefused(address=OTHER, code=63024)))
    conversation = next(iter(past.store.rows["conversations"].values()))
    close = CloseRequested(conversation_id=conversation["_id"], last_message_at=past.clock.now())
    await past.wrote(("close1", close))
    await past.wrote(msg(past, "hola otra vez", 11))


async def test_the_same_code_says_the_same(past: Past) -> None:
    await a_life(past)
    results = await past.told()
    assert [one for one in results if one.state != "same"] == []
    turns = [TurnDocument.from_mongo(one) for one in past.store.rows["turns"].values()]
    assert [one.now.outcome for one in results if one.now] == [one.outcome for one in turns]
    assert {"greeted", "replied", "apologised", "no_reply", "escalated", "operator_said", "taken_over", "closed"} < {
        one.outcome for one in turns
    }


async def test_a_time_in_the_middle_starts_from_how_it_stood_before(past: Past) -> None:
    await a_life(past)
    turns = [TurnDocument.from_mongo(one) for one in past.store.rows["turns"].values()]
    for turn in turns[1:]:
        results = await past.told(begin=turn.decided_at - timedelta(seconds=2.5))
        assert results[0].seq == turn.seq or len(turn.events) > 1
        assert [one for one in results if one.state != "same"] == []


async def test_a_run_that_a_time_cuts_is_read_whole(past: Past) -> None:
    await past.wrote(msg(past, "hola,", 1), msg(past, "¿qué tal?", 2))
    (result,) = await past.told(None, begin=past.clock.now() - timedelta(seconds=2.5))
    assert (result.state, len(result.positions)) == ("same", 2)
