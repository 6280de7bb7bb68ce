"""What is left when a turn is cut off while the agent is asked."""

import asyncio
from typing import Any

import pytest

from kit.service import Tools
from processor.agent.client import Answer, Question
from processor.answering import Answering
from processor.talk import Resumed
from processor.thought import Quiet
from tests.contracts.runs import run_of


class Lane:
    behind: tuple[Any, ...] = ()

    def __init__(self) -> None:
        self.waited_for, self.let_go = asyncio.Event(), False

    async def arrival(self, seconds: float) -> bool:
        self.waited_for.set()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.let_go = True
        return False


class Agent:
    """Thinks for ever."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def ask(self, _: Question) -> Answer:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""


async def test_a_turn_that_is_cut_off_leaves_no_task_behind(tools: Tools) -> None:
    """A rebalance cuts off thousands at once: each would keep its lane alive for an hour."""
    agent, lane = Agent(), Lane()
    thought: Any = Resumed(run_of(), None, None, None, None, None, None)  # type: ignore[arg-type]
    thought.lane = lane
    thought.question = lambda _: type("Question", (), {"conversation": "conv_1"})
    answering = Answering(agent, tools.clock, Quiet(), lambda: None)
    turn = asyncio.create_task(answering.answer(thought))
    await agent.asked.wait()
    await lane.waited_for.wait()
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    assert lane.let_go
