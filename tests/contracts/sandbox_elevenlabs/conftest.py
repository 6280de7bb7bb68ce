from collections.abc import AsyncIterator

import pytest_asyncio

from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator, sandbox_agent


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def _running() -> AsyncIterator[ElevenLabsSimulator]:
    brains = [AgentFixture(agent_id=name, brain=name, analysis_delay_s=0) for name in ("echo", "counter", "recall")]
    async with ElevenLabsSimulator([sandbox_agent(), *brains], seed=7) as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def sim(_running: ElevenLabsSimulator) -> AsyncIterator[ElevenLabsSimulator]:
    """`agent_sandbox`, and one agent per plain brain; no latency. As new for every test."""
    yield _running
    _running.clock.set_mode("real")
    _running.world.webhook.url = None
    _running.reset()
    while _running.stats()["open"]:
        await _running.clock.sleep(0.001)
    _running.reset()
