"""From the client's words to an answer: wait for the end of the thought, ask, and drop what became stale meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

from kit.clock import Clock
from kit.kafka.delivery import Delivery
from kit.lanes import Run as LaneRun
from processor import optout
from processor.agent.client import AgentClient, Answer, Progress, Question
from processor.stages import Stage, unwatched
from processor.thought import GAP_S, MOST_DRAFTS, Bubble, Habit, Patience, Quiet, patience
from schemas.events import EraseRequested, MessageReceived, TakenOver

__all__ = ["Answering", "Discarded", "Thought", "require_welcome"]

Stop = Literal["taken_over", "opted_out", "erased"]
A_WHILE_S = 3600.0  # longer than any agent is waited for


class Discarded(Exception):
    """Nothing may be said any more: something that silences the bot waits behind."""

    def __init__(self, why: Stop) -> None:
        super().__init__(why)
        self.why = why


class Thought(Protocol):
    """What one turn answers, as it grows."""

    lane: LaneRun[Delivery]
    stale: list[dict[str, Any]]
    """Drafts that were thrown away."""
    undecided: Callable[[Sequence[Delivery]], Awaitable[list[Delivery]]]
    """Those of some records that no turn has."""
    settled: set[str]
    """Event ids of records behind that are copies of what is decided already: they silence nobody now."""

    @property
    def bubbles(self) -> Sequence[Bubble]:
        """Empty where nothing is waited for."""
        ...

    @property
    def habit(self) -> Habit: ...

    async def take(self) -> bool:
        """Take in what waits behind; whether something of it belongs to this thought."""
        ...

    def question(self, progress: Progress) -> Question:
        """As it stands now."""
        ...


async def require_welcome(thought: Thought) -> None:
    """Raises Discarded where something waits behind the run that makes its answer unwelcome.

    A copy of what is decided already does not: gap repair makes some, behind whatever came meanwhile.
    """
    for delivery in thought.lane.behind:
        if (why := _stops(delivery)) and delivery.envelope.id not in thought.settled:
            if await thought.undecided([delivery]):
                raise Discarded(why)
            thought.settled.add(delivery.envelope.id)
            return await require_welcome(thought)  # others may have come meanwhile
    return None


def _stops(delivery: Delivery) -> Stop | None:
    match delivery.envelope.data:
        case TakenOver():
            return "taken_over"
        case EraseRequested():
            return "erased"
        case MessageReceived() as message if optout.stops(message):
            return "opted_out"
        case _:
            return None


class Answering:
    """Asks once for a whole thought. Asking anew drops the socket, and with it what the agent heard.

    A bubble that arrives before the decision makes the draft stale, `MOST_DRAFTS` times at most, and never after a tool
    has run: tools have effects. A take-over, an opt-out or an erasure behind always discards it.
    """

    def __init__(
        self,
        agent: AgentClient,
        clock: Clock,
        quiet: Quiet,
        count_stale: Callable[[], None],
        stage: Stage = unwatched,
    ) -> None:
        self._agent = agent
        self._clock = clock
        self._quiet = quiet
        self._count_stale = count_stale
        self._stage = stage

    async def answer(self, thought: Thought) -> Answer:
        """Raises Discarded, AgentUnavailableError."""
        waited_s = 0.0
        while True:
            with self._stage("quiet"):
                waited_s += await self._quietly(thought, waited_s)
            with self._stage("agent"):
                answer = await self._asked(thought, waited_s)
            if answer is not None:
                return answer

    async def _asked(self, thought: Thought, waited_s: float) -> Answer | None:
        """None: the thought went on, and the draft is stale."""
        progress = Progress()
        question = thought.question(progress)
        asking = asyncio.create_task(self._agent.ask(question), name="ask the agent")
        try:
            if not await self._became_stale(thought, asking, progress, waited_s):
                return asking.result()
        except BaseException:
            self._agent.drop(question.conversation)  # what it may have said already will not be shown
            raise
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        self._agent.drop(question.conversation)
        self._count_stale()
        return None

    async def _quietly(self, thought: Thought, waited_s: float) -> float:
        """Wait for more of the thought, without a permit; for how long, in seconds."""
        began, before = self._clock.monotonic(), waited_s
        while (left := self._left(thought, self._patience(thought, before).ask_s)) > 0:
            more = await thought.lane.linger(left)
            await require_welcome(thought)
            if not more:
                break
            if await thought.take():
                before = waited_s + self._clock.monotonic() - began
        return self._clock.monotonic() - began

    async def _became_stale(
        self, thought: Thought, asking: asyncio.Task[Answer], progress: Progress, waited_s: float
    ) -> bool:
        """Until the answer is there and may be decided, or the thought went on first."""
        while not asking.done():
            await _news(thought.lane, asking)
            if await self._stale(thought, progress):
                return True
        if asking.exception() is None and await self._held(thought, progress, waited_s):
            return True
        return await self._stale(thought, progress)

    async def _held(self, thought: Thought, progress: Progress, waited_s: float) -> bool:
        """Hold an answer that is ready, without a permit, where more may come. True: it has become stale."""
        until = self._clock.monotonic() + self._patience(thought, waited_s).hold_s
        while self._may_still_change(thought, progress):
            left = min(until - self._clock.monotonic(), self._left(thought, GAP_S))
            if left <= 0 or not await thought.lane.linger(left):
                return False
            if await self._stale(thought, progress):
                return True
        return False

    async def _stale(self, thought: Thought, progress: Progress) -> bool:
        await require_welcome(thought)
        if not (thought.lane.behind and self._may_still_change(thought, progress)) or not await thought.take():
            return False
        thought.stale.append({"at": self._clock.now(), "bubbles": len(thought.bubbles)})
        return True

    def _may_still_change(self, thought: Thought, progress: Progress) -> bool:
        return bool(thought.bubbles) and len(thought.stale) < MOST_DRAFTS and not progress.tools

    def _patience(self, thought: Thought, waited_s: float) -> Patience:
        if not thought.bubbles:
            return Patience(0.0, 0.0)
        return patience(thought.bubbles, self._quiet, stale=len(thought.stale), waited_s=waited_s, habit=thought.habit)

    def _left(self, thought: Thought, seconds: float) -> float:
        """Of so many seconds after the last bubble. Its time is another machine's: never longer than from now."""
        if not thought.bubbles:
            return 0.0
        return min(seconds, seconds - (self._clock.now() - thought.bubbles[-1].at).total_seconds())


async def _news(lane: LaneRun[Delivery], asking: asyncio.Task[Answer]) -> None:
    """Until something new stands behind the run, or the agent has answered."""
    arrival = asyncio.create_task(lane.arrival(A_WHILE_S))
    try:
        await asyncio.wait({arrival, asking}, return_when=asyncio.FIRST_COMPLETED)
        if arrival.done() and not arrival.result():
            await asyncio.wait({asking})
    finally:
        arrival.cancel()
        await asyncio.gather(arrival, return_exceptions=True)
