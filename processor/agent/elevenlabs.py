"""ElevenLabs' agents, asked over pooled sockets."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from kit.clock import Clock
from kit.http import PooledClient
from kit.logs import get_log
from kit.metrics import Metrics
from processor.agent.breaker import Breaker
from processor.agent.client import Answer, Outcome, Question
from processor.agent.context import USER_UNITS
from processor.agent.door import Door, KeyDoor, SignedDoor
from processor.agent.errors import AgentError
from processor.agent.heard import Heard
from processor.agent.pool import Counts, Pool, Pooled, Seat
from processor.agent.session import Habits, Session
from processor.agent.timing import Timing
from processor.agent.tools import Tool, Toolbox

__all__ = ["ElevenLabsAgent"]


class ElevenLabsAgent:
    """A part of the service: `stop` drains it. `size` 0 asks every question on a socket of its own.

    With `signed_over` sockets are opened by signed URLs that are asked for over it, else by the key itself.
    """

    def __init__(
        self,
        base_url: str,
        api_key: str,
        clock: Clock,
        *,
        size: int = 100,
        timing: Timing | None = None,
        tools: Mapping[str, Tool] | None = None,
        signed_over: PooledClient | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._clock = clock
        self._timing = timing or Timing()
        self._door: Door = (
            SignedDoor(base_url, api_key, signed_over, self._timing.connect)
            if signed_over
            else KeyDoor(base_url, api_key)
        )
        self._toolbox = Toolbox(tools)
        self._habits: dict[str, Habits] = {}
        self._breaker = Breaker(clock)
        self._keeps = size > 0
        self._metrics = metrics
        self._pool = Pool(self._open, clock, self._timing, size or 1_000_000, self._tell)
        self._log = get_log("agent")

    @property
    def counts(self) -> Counts:
        return self._pool.counts

    @property
    def sockets(self) -> int:
        return self._pool.sockets

    async def start(self) -> None:
        await self._pool.start()

    async def stop(self) -> None:
        await self._pool.stop()

    async def release(self) -> None:
        """Partitions were revoked: close what is idle now, and what is busy when its turn has ended."""
        await self._pool.release()

    def drop(self, conversation: str) -> None:
        """Forget its session: its partition went elsewhere, or what it heard last was never shown."""
        self._pool.drop(conversation)

    @asynccontextmanager
    async def seat(self, conversation: str) -> AsyncIterator["ElevenLabsSeat"]:
        async with self._pool.seat(conversation) as seat:
            yield ElevenLabsSeat(self, seat)
            if not self._keeps:
                seat.leave()

    async def ask(self, question: Question) -> Answer:
        """One attempt. Raises AgentError."""
        async with self.seat(question.conversation) as seat:
            return await seat.ask(question, self._timing.turn)

    async def attempt(self, seat: Seat, question: Question, within_s: float) -> Answer:
        self._breaker.check()
        began = self._clock.monotonic()
        before = seat.session
        try:
            session = await seat.take(question.agent_id, question.user_id, question.variables)
            assert isinstance(session, Session)  # noqa: S101  # what `_open` made
            left = within_s - (self._clock.monotonic() - began)
            heard = await session.ask(question.text[:USER_UNITS], question.updates, left, question.progress)
        except BaseException as error:
            seat.leave()
            if isinstance(error, AgentError):
                self._breaker.failed(error)
            raise
        self._breaker.succeeded()
        if not session.usable:
            seat.leave()
        return _answer(heard, session, reused=session is before, seconds=self._clock.monotonic() - began)

    async def _open(self, agent_id: str, user_id: str, variables: Mapping[str, str]) -> Pooled:
        habits = self._habits.setdefault(agent_id, Habits())
        try:
            return await self._opened(agent_id, habits, user_id, variables)
        except AgentError as error:
            if error.field != "first_message" or not habits.suppress:
                raise
        habits.suppress = False
        self._log.warning("greeting is thrown away: allow the override first_message", agent_id=agent_id)
        return await self._opened(agent_id, habits, user_id, variables)

    async def _opened(self, agent_id: str, habits: Habits, user_id: str, variables: Mapping[str, str]) -> Session:
        def unsolicited() -> None:
            self._unsolicited(agent_id)

        session = Session(self._door, agent_id, habits, self._toolbox, self._timing, self._clock, unsolicited)
        try:
            await session.open(user_id, variables)
        except BaseException:
            self._pool.discard(session)
            raise
        return session

    def _unsolicited(self, agent_id: str) -> None:
        self._pool.counts.unsolicited += 1
        self._log.info("a reply that nobody asked for is dropped", agent_id=agent_id)
        if self._metrics:
            self._metrics.count("hilo_agent_unsolicited_total")

    def _tell(self, event: str) -> None:
        if self._metrics:
            self._metrics.count("hilo_agent_sockets_total", event=event)


class ElevenLabsSeat:
    def __init__(self, agent: ElevenLabsAgent, seat: Seat) -> None:
        self._agent = agent
        self._seat = seat

    async def ask(self, question: Question, within_s: float) -> Answer:
        return await self._agent.attempt(self._seat, question, within_s)


def _answer(heard: Heard, session: Session, *, reused: bool, seconds: float) -> Answer:
    outcome: Outcome = "escalated" if heard.escalated else "replied" if heard.messages else "no_reply"
    return Answer(
        heard.messages,
        session.conversation_id,
        heard.tools,
        seconds=seconds,
        outcome=outcome,
        reused=reused,
        truncated=heard.truncated,
    )
