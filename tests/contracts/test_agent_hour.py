"""An hour of five hundred conversations on a hundred sockets, in virtual time (reference §11.7 e)."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from processor.agent.client import Answer, Question
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.agent.timing import Timing
from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator
from sandbox.elevenlabs.agents import Limits, Ping
from tests.conftest import FakeClock

CONVERSATIONS, SOCKETS, STEP_S = 500, 100, 30


@pytest.fixture
async def sim() -> AsyncIterator[ElevenLabsSimulator]:
    roomy = Limits(workspace_voice=-1, workspace_chat=-1)
    quiet = {"ping": Ping(every_s=0), "analysis_delay_s": 0, "handshake_hold_ms": 0}
    agent = AgentFixture(agent_id="a", brain="recall", limits=roomy, **quiet)
    async with ElevenLabsSimulator([agent], seed=7) as running:
        running.clock.set_mode("virtual")
        yield running


@pytest.mark.timeout(120)
async def test_an_hour(sim: ElevenLabsSimulator, clock: FakeClock) -> None:
    agent = ElevenLabsAgent(sim.url, "sk_sim", clock, size=SOCKETS, timing=Timing(close=0.5))

    async def ask(number: int) -> Answer:
        about = f"cita {number}"
        asked = Question(f"c{number}", "a", f"+52{number:010}", "¿la llamada?", about, f"antes {number}")
        answer = await agent.ask(asked)
        assert answer.messages == [about]
        return answer

    answers: list[Answer] = []
    for step in range(3600 // STEP_S):
        # twenty-five at a time walk through all of them; five talk all the while
        turn = {step * 25 % CONVERSATIONS + one for one in range(25)} | set(range(5))
        answers += await asyncio.gather(*map(ask, sorted(turn)))
        assert agent.sockets <= SOCKETS
        clock.advance(STEP_S)
        await sim.clock.advance(STEP_S)
        await agent._pool.tend()
    reopened = sum(not one.reused for one in answers) - CONVERSATIONS
    assert reopened > CONVERSATIONS  # the hour is long enough to have lost every socket, and its context
    assert sum(one.reused for one in answers) > 500
    assert sim.stats()["peak_handshakes"] == 2
    await agent.stop()
    async with asyncio.timeout(5):
        while sim.sessions:  # noqa: ASYNC110  # the simulator tells nobody
            await asyncio.sleep(0.001)
    assert agent.sockets == 0
    assert set(sim.stats()["closes"]) == {"1000"}
