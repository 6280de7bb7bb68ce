"""What a turn makes of the agent's end, and of facts that come late."""

from collections.abc import Sequence

import pytest

from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.service import Tools
from processor.agent.client import AgentUnavailableError, Answer, Question
from processor.agent.errors import Kind
from processor.conversation import State
from processor.drafts import Draft, Run
from schemas.documents import CallDocument
from tests.contracts.runs import run_of as lane_of
from tests.unit.processor.states import call, contact, conversation, message, run, state
from tests.unit.processor.turning import drafting


class Ends:
    def __init__(self, kind: Kind | None) -> None:
        self.kind = kind
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        if self.kind:
            raise AgentUnavailableError(1, "x", self.kind)
        return Answer(["hola"])

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""


class Records:
    async def completed(self, known: CallDocument) -> CallDocument:
        return known.model_copy(update={"summary": "una cita"})


async def drafted(agent: Ends, tools: Tools, before: State) -> Draft:
    first = Delivery(run(message()).events[0], Position("contact.log", 0, 1))

    async def undecided(records: Sequence[Delivery]) -> list[Delivery]:
        return list(records)

    def run_of(fresh: Sequence[Delivery]) -> Run:
        return run(*(one.envelope.data for one in fresh))

    pieces = drafting(None, agent, tools, calls=Records())
    return (await pieces.draft(lane_of(first), [first], before, run_of, undecided))[1]


@pytest.mark.parametrize(("kind", "outcome"), [("blocked", "replied"), ("quota", "apologised"), (None, "replied")])
async def test_ends(kind: Kind | None, outcome: str, tools: Tools) -> None:
    draft = await drafted(Ends(kind), tools, state(contact(language="en"), conversation()))
    assert draft.outcome == outcome
    safe = "I'm sorry, I can't help with that here. Is there anything else I can do for you?"
    assert (list(draft.raw_reply) == [safe]) is (kind == "blocked")


async def test_facts_that_came_late_are_told_and_kept(tools: Tools) -> None:
    agent = Ends(None)
    draft = await drafted(agent, tools, state(None, conversation(), call(summary=None)))
    assert "una cita" in agent.asked[0].prior_call
    assert draft.call
    assert draft.call.summary == "una cita"
