"""Another agent, really asked: the one way out of the seal that a replay may be given."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from kit.clock import SystemClock
from kit.http import PooledClient
from kit.metrics import Metrics
from processor.agent.client import AgentUnavailableError, Answer, PersistentAgent, Question
from processor.agent.elevenlabs import ElevenLabsAgent
from schemas.documents import TurnDocument
from schemas.replay import Asking, Heard

__all__ = ["LiveAgent", "live"]


@asynccontextmanager
async def live(asking: Asking) -> AsyncIterator["LiveAgent"]:
    """Each question has a socket of its own: the agent knows the recorded story, and nothing of its own answers."""
    clock, metrics, http = SystemClock(), Metrics(), PooledClient(concurrency=1)
    signed = http if asking.signed else None
    agent = ElevenLabsAgent(asking.base_url, asking.api_key, clock, size=0, signed_over=signed)
    persistent = PersistentAgent(
        agent,
        clock,
        metrics,
        attempts=asking.attempts,
        backoff_s=asking.backoff_s,
        deadline_s=asking.deadline_s,
    )
    await agent.start()
    try:
        yield LiveAgent(persistent, asking.agent_id)
    finally:
        await agent.stop()
        await http.stop()


class LiveAgent:
    """Asks `agent_id`, whichever agent it was then, and remembers what it said."""

    def __init__(self, agent: PersistentAgent, agent_id: str) -> None:
        self.turn: TurnDocument | None = None
        self.unanswered: Question | None = None
        self.heard: Heard | None = None
        self._agent = agent
        self._agent_id = agent_id

    async def ask(self, question: Question) -> Answer:
        self.unanswered = question
        try:
            answer = await self._agent.ask(replace(question, agent_id=self._agent_id))
        except AgentUnavailableError as error:
            self.heard = Heard(attempts=error.attempts, outcome="unavailable", fault=error.reason)
            raise
        self.heard = Heard(
            words=answer.messages, seconds=answer.seconds, attempts=answer.attempts, outcome=answer.outcome
        )
        return answer

    def drop(self, conversation: str) -> None:
        self._agent.drop(conversation)
