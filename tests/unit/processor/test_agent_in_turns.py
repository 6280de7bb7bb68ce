"""What a turn makes of the agent's end, and of facts that come late."""

import pytest

from kit.service import Tools
from processor.agent.client import AgentUnavailableError, Answer, Question
from processor.agent.errors import Kind
from processor.turns import TurnHandler
from schemas.documents import CallDocument
from tests.unit.processor.states import POLICY, call, contact, conversation, message, run, state


class Ends:
    def __init__(self, kind: Kind | None) -> None:
        self.kind = kind
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        if self.kind:
            raise AgentUnavailableError(1, "x", self.kind)
        return Answer(["hola"])


class Records:
    async def completed(self, known: CallDocument) -> CallDocument:
        return known.model_copy(update={"summary": "una cita"})


def handler(agent: Ends, tools: Tools) -> TurnHandler:
    return TurnHandler(None, agent, None, POLICY, tools, Records())  # type: ignore[arg-type]  # not reached here


@pytest.mark.parametrize(("kind", "outcome"), [("blocked", "replied"), ("quota", "apologised"), (None, "replied")])
async def test_ends(kind: Kind | None, outcome: str, tools: Tools) -> None:
    asked = run(message())
    draft = await handler(Ends(kind), tools)._draft(asked, state(contact(language="en"), conversation()))
    assert draft.outcome == outcome
    safe = "I'm sorry, I can't help with that here. Is there anything else I can do for you?"
    assert (list(draft.raw_reply) == [safe]) is (kind == "blocked")


async def test_facts_that_came_late_are_told_and_kept(tools: Tools) -> None:
    agent = Ends(None)
    draft = await handler(agent, tools)._draft(run(message()), state(None, conversation(), call(summary=None)))
    assert "una cita" in agent.asked[0].prior_call
    assert draft.call
    assert draft.call.summary == "una cita"
