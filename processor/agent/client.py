"""Asking the agent. Everything that is ElevenLabs' own stays behind `AgentClient`."""

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kit.clock import Clock
from kit.logs import get_log
from kit.metrics import Metrics
from processor.agent.context import USER_UNITS
from processor.agent.errors import AgentError
from processor.agent.session import Session

__all__ = ["AgentClient", "AgentUnavailableError", "Answer", "ElevenLabsAgent", "PersistentAgent", "Question"]


@dataclass(frozen=True, slots=True)
class Question:
    """One thought of a client, with what the agent has to know."""

    conversation: str
    agent_id: str
    user_id: str
    text: str
    prior_call: str = ""
    history: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def updates(self) -> list[tuple[str, str]]:
        pairs = (("prior_call", self.prior_call), ("wa_history", self.history))
        return [(name, text) for name, text in pairs if text]


@dataclass(frozen=True, slots=True)
class Answer:
    """`messages` may be empty: an agent may choose to say nothing."""

    messages: list[str]
    conversation_id: str = ""
    tools: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 1
    seconds: float = 0.0


class AgentUnavailableError(Exception):
    """All attempts are spent. `attempts` were made; `reason` names the last fault."""

    def __init__(self, attempts: int, reason: str) -> None:
        super().__init__(reason)
        self.attempts = attempts
        self.reason = reason


class AgentClient(Protocol):
    async def ask(self, question: Question) -> Answer: ...


class ElevenLabsAgent:
    """One attempt, on a socket of its own. Raises AgentError."""

    def __init__(self, base_url: str, api_key: str, clock: Clock) -> None:
        self._base_url = base_url
        self._api_key = api_key
        self._clock = clock

    async def ask(self, question: Question) -> Answer:
        began = self._clock.monotonic()
        session = Session(self._base_url, self._api_key, question.agent_id)
        try:
            await session.open(question.user_id, question.variables)
            heard = await session.ask(question.text[:USER_UNITS], question.updates)
        finally:
            await session.close()
        return Answer(heard.messages, session.conversation_id, heard.tools, seconds=self._clock.monotonic() - began)


class PersistentAgent:
    """Asks up to `attempts` times, backing off from `backoff_s`, inside `deadline_s` over all of them.

    Raises AgentUnavailableError: the agent is never a hold, it ends in the apology.
    """

    def __init__(
        self,
        agent: AgentClient,
        clock: Clock,
        metrics: Metrics,
        *,
        attempts: int = 3,
        backoff_s: float = 2,
        deadline_s: float = 40,
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._metrics = metrics
        self._attempts = attempts
        self._backoff_s = backoff_s
        self._deadline_s = deadline_s
        self._log = get_log("agent")

    async def ask(self, question: Question) -> Answer:
        spent, reason = 0, "deadline"
        try:
            async with asyncio.timeout(self._deadline_s):
                for spent in range(1, self._attempts + 1):  # told to the main backend
                    try:
                        return await self._attempt(question, spent)
                    except AgentError as error:
                        reason = str(error)
                        self._log.warning(
                            "attempt failed", conversation=question.conversation, attempt=spent, error=reason
                        )
                        if not error.retryable:
                            break
                    if spent < self._attempts:
                        await self._clock.sleep(self._backoff_s * 2 ** (spent - 1) * random.uniform(1.0, 1.2))
        except TimeoutError:
            reason = f"no answer within {self._deadline_s:g} s"
        raise AgentUnavailableError(spent, reason)

    async def _attempt(self, question: Question, number: int) -> Answer:
        try:
            answer = await self._agent.ask(question)
        except AgentError as error:
            self._metrics.count("hilo_agent_attempts_total", result=error.kind)
            raise
        self._metrics.count("hilo_agent_attempts_total", result="answered")
        self._metrics.observe("hilo_agent_seconds", answer.seconds)
        return Answer(answer.messages, answer.conversation_id, answer.tools, number, answer.seconds)
