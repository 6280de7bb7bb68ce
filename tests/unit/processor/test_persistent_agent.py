"""Three attempts, backing off from two seconds, one deadline over all; then the apology."""

import asyncio

import pytest

from kit.metrics import Metrics
from processor.agent.client import AgentUnavailableError, Answer, PersistentAgent, Question
from processor.agent.errors import AgentError, Kind, Phase
from tests.conftest import FakeClock

QUESTION = Question("conv_1", "agent_1", "+525512345678", "hola")


class Scripted:
    """Fails or answers as the script says, one entry an attempt; `None` never answers."""

    def __init__(self, *script: AgentError | Answer | None) -> None:
        self._script = list(script)
        self.asked: list[Question] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        entry = self._script.pop(0)
        if entry is None:
            await asyncio.Event().wait()
        if isinstance(entry, Answer):
            return entry
        assert entry
        raise entry


def failure(kind: Kind = "transient", phase: Phase = "sent") -> AgentError:
    return AgentError(kind, phase, "x")


def persistent(agent: Scripted, clock: FakeClock, metrics: Metrics, deadline_s: float = 40) -> PersistentAgent:
    return PersistentAgent(agent, clock, metrics, deadline_s=deadline_s)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.mark.parametrize("failures", [0, 1, 2])
async def test_an_attempt_that_answers_ends_it(failures: int, clock: FakeClock, metrics: Metrics) -> None:
    agent = Scripted(*[failure()] * failures, Answer(["hola"], "conv_el"))
    answer = await persistent(agent, clock, metrics).ask(QUESTION)
    assert (answer.messages, answer.conversation_id, answer.attempts) == (["hola"], "conv_el", failures + 1)
    assert agent.asked == [QUESTION] * (failures + 1)
    assert len(clock.slept) == failures


async def test_three_attempts_back_off_from_two_seconds(clock: FakeClock, metrics: Metrics) -> None:
    agent = Scripted(failure(), failure("timeout"), failure("capacity", "connect"))
    with pytest.raises(AgentUnavailableError) as spent:
        await persistent(agent, clock, metrics).ask(QUESTION)
    assert (spent.value.attempts, spent.value.reason) == (3, "capacity in connect: x")
    first, second = clock.slept
    assert 2.0 <= first <= 2.4
    assert 4.0 <= second <= 4.8


@pytest.mark.parametrize("kind", ["config", "quota", "blocked"])
async def test_what_asking_again_cannot_mend_is_asked_once(kind: Kind, clock: FakeClock, metrics: Metrics) -> None:
    agent = Scripted(failure(kind))
    with pytest.raises(AgentUnavailableError) as spent:
        await persistent(agent, clock, metrics).ask(QUESTION)
    assert (spent.value.attempts, clock.slept) == (1, [])


async def test_an_agent_that_broke_off_is_not_asked_again(clock: FakeClock, metrics: Metrics) -> None:
    with pytest.raises(AgentUnavailableError) as spent:
        await persistent(Scripted(failure(phase="answering")), clock, metrics).ask(QUESTION)
    assert spent.value.attempts == 1


@pytest.mark.parametrize("script", [[None], [failure(), None]], ids=["first attempt", "second attempt"])
async def test_one_deadline_is_over_all_attempts(
    script: list[AgentError | None], clock: FakeClock, metrics: Metrics
) -> None:
    agent = Scripted(*script)
    with pytest.raises(AgentUnavailableError, match=r"no answer within 0\.02 s") as spent:
        await persistent(agent, clock, metrics, deadline_s=0.02).ask(QUESTION)
    assert spent.value.attempts == len(script)


async def test_an_answer_may_be_empty(clock: FakeClock, metrics: Metrics) -> None:
    assert (await persistent(Scripted(Answer([])), clock, metrics).ask(QUESTION)).messages == []


async def test_every_attempt_is_counted_by_its_result(clock: FakeClock, metrics: Metrics) -> None:
    agent = Scripted(failure("timeout"), failure("capacity"), Answer(["x"], seconds=1.5))
    await persistent(agent, clock, metrics).ask(QUESTION)
    for result in ("timeout", "capacity", "answered"):
        assert metrics.registry.get_sample_value("hilo_agent_attempts_total", {"result": result}) == 1
    assert metrics.registry.get_sample_value("hilo_agent_seconds_sum") == 1.5
