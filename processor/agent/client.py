"""Asking the agent. Everything that is ElevenLabs' own stays behind `AgentClient`."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Literal, Protocol

from kit.clock import Clock
from kit.logs import get_log
from kit.metrics import Metrics
from kit.tracing import Attributes, SpanKind, inner
from processor.agent.errors import AgentError, Kind

__all__ = [
    "AgentClient",
    "AgentUnavailableError",
    "Answer",
    "Outcome",
    "PersistentAgent",
    "Progress",
    "Question",
    "Seats",
]

Outcome = Literal["replied", "no_reply", "escalated"]
INVOKING = {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "elevenlabs"}
GRACE_S = 0.5  # an answer that is cut at the deadline is still handed over


@dataclass(slots=True)
class Progress:
    """What came of a question so far, for whoever thinks of asking anew."""

    tools: bool = False
    """A tool has run, ours or theirs: asking again could do its work twice."""


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
    history_mark: str = ""
    """Changes when something was said past the agent: an open session is told the history again only then."""
    progress: Progress = field(default_factory=Progress, compare=False)

    @property
    def updates(self) -> list[tuple[str, str, str]]:
        """Context id, text, mark. An open conversation has heard the rest of its history itself."""
        return [
            ("prior_call", self.prior_call, sha256(self.prior_call.encode()).hexdigest()),
            ("wa_history", self.history, self.history_mark),
        ]


@dataclass(frozen=True, slots=True)
class Answer:
    """`messages` may be empty: an agent may choose to say nothing, or hand over without a word."""

    messages: list[str]
    conversation_id: str = ""
    tools: list[dict[str, Any]] = field(default_factory=list)
    attempts: int = 1
    seconds: float = 0.0
    outcome: Outcome = "replied"
    reused: bool = False
    truncated: bool = False
    """More may have been on its way."""


class AgentUnavailableError(Exception):
    """All attempts are spent. `attempts` were made; `reason` names the last fault, `kind` its class."""

    def __init__(self, attempts: int, reason: str, kind: Kind = "timeout") -> None:
        super().__init__(reason)
        self.attempts = attempts
        self.reason = reason
        self.kind = kind


class AgentClient(Protocol):
    """The agent goes on remembering what it was asked and what it said. A turn that throws a draft away has to say so.

    While it asks, cancelling `ask` says it; for an answer that is already there, `drop` does.
    """

    async def ask(self, question: Question) -> Answer: ...

    def drop(self, conversation: str) -> None: ...


class Asking(Protocol):
    """One attempt. Raises AgentError."""

    async def ask(self, question: Question, within_s: float) -> Answer: ...


class Seats(Protocol):
    """Waiting for a seat is no attempt: the deadline starts with it."""

    def seat(self, conversation: str) -> AbstractAsyncContextManager[Asking]: ...

    def drop(self, conversation: str) -> None: ...


class PersistentAgent:
    """Asks up to `attempts` times, backing off from `backoff_s`, inside `deadline_s` over all of them.

    Raises AgentUnavailableError: the agent is never a hold, it ends in the apology.
    """

    def __init__(
        self,
        agent: Seats,
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
        async with self._agent.seat(question.conversation) as seat:
            return await self._persist(seat, question)

    def drop(self, conversation: str) -> None:
        """The last answer will not be shown: the next question starts on a new socket, with the history we tell."""
        self._agent.drop(conversation)

    async def _persist(self, seat: Asking, question: Question) -> Answer:
        until = self._clock.monotonic() + self._deadline_s
        spent, late, seen = 0, f"no answer within {self._deadline_s:g} s", set[Kind]()
        last = AgentError("timeout", "connect", late)
        try:
            async with asyncio.timeout(self._deadline_s + GRACE_S):
                for spent in range(1, self._attempts + 1):  # told to the main backend
                    try:
                        return await self._attempt(seat, question, spent, until - self._clock.monotonic())
                    except AgentError as error:
                        last = error
                    self._tell(question, spent, last)
                    pause = self._pause(last, spent, seen)
                    if pause is None or spent == self._attempts or pause >= until - self._clock.monotonic():
                        break
                    seen.add(last.kind)
                    await self._clock.sleep(pause)
        except TimeoutError:
            raise AgentUnavailableError(spent, late, "timeout") from None
        reason = late if until <= self._clock.monotonic() else str(last)
        raise AgentUnavailableError(spent, reason, last.kind)

    def _pause(self, error: AgentError, spent: int, seen: set[Kind]) -> float | None:
        """Seconds until the next attempt; None where another would be wrong or the same again."""
        if not error.retryable or (error.kind in {"expired", "protocol"} and error.kind in seen):
            return None
        if error.kind == "expired":
            return 0.0  # an old session's end says nothing of a new one
        pause: float = self._backoff_s * 2 ** (spent - 1) * random.uniform(1.0, 1.2)
        return max(pause, error.retry_after or 0.0)

    async def _attempt(self, seat: Asking, question: Question, number: int, within_s: float) -> Answer:
        about: Attributes = {**INVOKING, "gen_ai.agent.id": question.agent_id, "hilo.attempt": number}
        try:
            with inner("invoke_agent", kind=SpanKind.CLIENT, attributes=about) as one:
                answer = await seat.ask(question, within_s)
                one.set_attribute("gen_ai.conversation.id", answer.conversation_id)
        except AgentError as error:
            self._metrics.count("hilo_agent_attempts_total", result=error.kind)
            raise
        except asyncio.CancelledError:
            self._metrics.count("hilo_agent_attempts_total", result="cancelled")
            raise
        self._metrics.count("hilo_agent_attempts_total", result="answered")
        self._metrics.observe("hilo_agent_seconds", answer.seconds)
        return replace(answer, attempts=number)

    def _tell(self, question: Question, spent: int, error: AgentError) -> None:
        """An error where only people can mend it."""
        tell = self._log.error if error.kind in {"config", "quota"} else self._log.warning
        tell("attempt failed", conversation=question.conversation, attempt=spent, error=str(error))
