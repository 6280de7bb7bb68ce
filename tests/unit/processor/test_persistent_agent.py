"""Three attempts, backing off from two seconds, one deadline over all; then the apology."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

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

    @asynccontextmanager
    async def seat(self, conversation: str) -> AsyncIterator["Scripted"]:
        assert conversation == QUESTION.conversation
        yield self

    async def ask(self, question: Question, within_s: float) -> Answer:
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


def persistent(agent: Scripted, clock: FakeClock, metrics: Metrics, **settings: float) -> PersistentAgent:
    return PersistentAgent(agent, clock, metrics, **settings)  # type: ignore[arg-type]


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


@pytest.mark.expects_errors
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
        await persistent(agent, clock, metrics, deadline_s=0.02, backoff_s=0).ask(QUESTION)
    assert spent.value.attempts == len(script)


async def test_an_answer_may_be_empty(clock: FakeClock, metrics: Metrics) -> None:
    assert (await persistent(Scripted(Answer([])), clock, metrics).ask(QUESTION)).messages == []


async def test_every_attempt_is_counted_by_its_result(clock: FakeClock, metrics: Metrics) -> None:
    agent = Scripted(failure("timeout"), failure("capacity"), Answer(["x"], seconds=1.5))
    await persistent(agent, clock, metrics).ask(QUESTION)
    for result in ("timeout", "capacity", "answered"):
        assert metrics.registry.get_sample_value("hilo_agent_attempts_total", {"result": result}) == 1
    assert metrics.registry.get_sample_value("hilo_agent_seconds_sum") == 1.5


async def test_an_expired_session_is_replaced_at_once_and_once(clock: FakeClock, metrics: Metrics) -> None:
    assert (await persistent(Scripted(failure("expired"), Answer(["x"])), clock, metrics).ask(QUESTION)).attempts == 2
    assert clock.slept == [0.0]
    with pytest.raises(AgentUnavailableError) as spent:
        await persistent(Scripted(failure("expired"), failure("expired")), clock, metrics).ask(QUESTION)
    assert (spent.value.attempts, spent.value.kind) == (2, "expired")


async def test_a_broken_protocol_is_tried_on_one_new_socket(clock: FakeClock, metrics: Metrics) -> None:
    with pytest.raises(AgentUnavailableError) as spent:
        await persistent(Scripted(failure("protocol"), failure("protocol")), clock, metrics).ask(QUESTION)
    assert spent.value.attempts == 2


async def test_they_say_when_to_come_back(clock: FakeClock, metrics: Metrics) -> None:
    busy = AgentError("capacity", "connect", "HTTP 429", retry_after=7)
    await persistent(Scripted(busy, Answer(["x"])), clock, metrics).ask(QUESTION)
    assert clock.slept == [7]


async def test_no_wait_goes_beyond_the_deadline(clock: FakeClock, metrics: Metrics) -> None:
    busy = AgentError("capacity", "connect", "HTTP 429", retry_after=60)
    with pytest.raises(AgentUnavailableError, match="capacity in connect"):
        await persistent(Scripted(busy), clock, metrics).ask(QUESTION)
    assert clock.slept == []
