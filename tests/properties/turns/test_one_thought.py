"""Bubbles on real lanes, in virtual time: what is waited for, what becomes stale, what is thrown away."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from pymongo.errors import AutoReconnect

from processor.agent.client import AgentUnavailableError, Answer, Question
from schemas.events import EraseRequested, Event, HandedBack, MessageReceived, OperatorSaid, SendRequested, TakenOver
from tests.properties.sender.world import EPOCH
from tests.properties.turns.world import Process, World
from tests.virtual_loop import run_virtual

CONTACT, CHANNEL = "+525512345678", "+14155238886"
Script = Sequence[tuple[float, Event | str]]
"""Seconds from the beginning; a string is a message."""


class Agent:
    """Thinks for so long; says which tools it used when."""

    def __init__(self, seconds: float, *, tool_at: float | None = None, fails: bool = False) -> None:
        self.seconds = seconds
        self.tool_at = tool_at
        self.fails = fails
        self.asked: list[tuple[float, str]] = []
        self.dropped = 0
        self.forgotten = 0
        self.histories: list[str] = []

    async def ask(self, question: Question) -> Answer:
        self.asked.append((round(asyncio.get_running_loop().time(), 2), question.text))
        self.histories.append(question.history)
        try:
            if self.tool_at is not None:
                await asyncio.sleep(self.tool_at)
                question.progress.tools = True
            await asyncio.sleep(self.seconds - (self.tool_at or 0))
        except asyncio.CancelledError:
            self.dropped += 1
            raise
        if self.fails:
            raise AgentUnavailableError(3, "down")
        return Answer([f"re: {question.text}"])

    def drop(self, _conversation: str) -> None:
        self.forgotten += 1


class Told:
    """What a script led to."""

    def __init__(self, world: World, agent: Agent) -> None:
        self.world = world
        self.agent = agent

    @property
    def replies(self) -> list[str]:
        once = {one.id: one.data for _, one in self.world.out if isinstance(one.data, SendRequested)}
        return [part.text for one in once.values() for part in one.parts]

    @property
    def outcomes(self) -> list[str]:
        return [turn.outcome for turn in self.world.turns]

    @property
    def stale(self) -> list[int]:
        return [len(turn.superseded) for turn in self.world.turns]


def play(
    script: Script, agent: Agent, monkeypatch: pytest.MonkeyPatch, then: Callable[[World, Process], Any] | None = None
) -> Told:
    monkeypatch.setattr("tests.properties.turns.world.Agent", lambda _world: agent)
    holder: list[World] = []

    async def live() -> None:
        world = World(0)
        holder.append(world)
        world.troubles.store = world.troubles.broker = world.troubles.zombies = 0
        process = Process(world, 0)
        for number, (moment, said) in enumerate(script):
            await asyncio.sleep(moment - asyncio.get_running_loop().time())
            world.append(f"event_{number}", _event(world, number, said), CONTACT)
        if then:
            process = await then(world, process)
        while not process.idle:  # noqa: ASYNC110  # in virtual time
            await asyncio.sleep(0.1)
        process.kill()

    run_virtual(live)
    assert not holder[0].crashes
    assert not holder[0].buried
    return Told(holder[0], agent)


def _event(world: World, number: int, said: Event | str) -> Event:
    if not isinstance(said, str):
        return said
    now = world.tools.clock.now()
    return MessageReceived(message_sid=f"SM{number}", channel=CHANNEL, address=CONTACT, text=said, received_at=now)


def test_bubbles_behind_an_unfinished_one_are_one_question(monkeypatch: pytest.MonkeyPatch) -> None:
    told = play([(0, "Hola"), (1, "quería saber si"), (2.5, "¿mi cita es mañana?")], Agent(3), monkeypatch)
    assert [text for _, text in told.agent.asked] == ["Hola\nquería saber si\n¿mi cita es mañana?"]
    assert (told.outcomes, told.stale, told.agent.dropped) == (["replied"], [0], 0)


def test_a_bubble_while_the_agent_thinks_makes_the_draft_stale(monkeypatch: pytest.MonkeyPatch) -> None:
    told = play([(0, "¿A qué hora es mi cita?"), (1.5, "la del martes")], Agent(3), monkeypatch)
    assert [text for _, text in told.agent.asked] == [
        "¿A qué hora es mi cita?",
        "¿A qué hora es mi cita?\nla del martes",
    ]
    assert told.replies == ["re: ¿A qué hora es mi cita?\nla del martes"]
    assert (told.outcomes, told.stale, told.agent.dropped) == (["replied"], [1], 1)


def test_twice_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(0, "¿uno?"), (2, "¿dos?"), (4, "¿tres?"), (8.5, "¿cuatro?")]
    told = play(script, Agent(5), monkeypatch)
    assert told.stale == [2, 0]
    assert told.replies == ["re: ¿uno?\n¿dos?\n¿tres?", "re: ¿cuatro?"]


def test_never_after_a_tool_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    told = play([(0, "¿me agendas?"), (2, "a las diez")], Agent(4, tool_at=1), monkeypatch)
    assert told.replies == ["re: ¿me agendas?", "re: a las diez"]
    assert (told.stale, told.agent.dropped) == ([0, 0], 0)


@pytest.mark.parametrize(
    ("stop", "outcome", "then"),
    [
        (TakenOver(by="luis"), "taken_over", []),
        ("STOP", "opted_out", ["Listo, no te escribiremos más por aquí. Si cambias de idea, responde ALTA."]),
        (EraseRequested(by="luis"), "erased", []),
    ],
)
@pytest.mark.parametrize("moment", [0.3, 2, 3.05], ids=["before it is asked", "while it thinks", "while it is held"])
def test_what_silences_the_bot_discards_its_draft(
    stop: Event | str, outcome: str, then: list[str], moment: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = play([(0, "hola, quiero" if moment < 1 else "¿Qué tal?"), (moment, stop)], Agent(3), monkeypatch)
    assert told.replies == then
    if outcome == "erased":
        assert told.outcomes == ["erased", "erased"]
        return
    assert told.outcomes == ["discarded", outcome]
    assert told.world.turns[0].context["discarded"] == outcome


def test_a_stop_while_the_agent_fails_is_no_apology(monkeypatch: pytest.MonkeyPatch) -> None:
    told = play([(0, "¿hola?"), (1, TakenOver(by="luis"))], Agent(3, fails=True), monkeypatch)
    assert (told.outcomes, told.replies) == (["discarded", "taken_over"], [])


def test_an_answer_that_is_held_and_becomes_stale_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    told = play([(0, "necesito cambiar mi cita"), (2.6, "la del martes")], Agent(1.5), monkeypatch)
    assert told.replies == ["re: necesito cambiar mi cita\nla del martes"]
    assert (told.stale, told.agent.dropped, told.agent.forgotten) == ([1], 0, 1)


@pytest.mark.parametrize("step", range(1, 50))
def test_a_store_that_fails_before_the_decision_makes_the_agent_forget(
    step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it heard and said was never shown; it is asked anew, on a new socket."""
    left = [step]

    async def io(process: Process) -> None:
        await asyncio.sleep(0.01)
        left[0] -= 1
        if left[0] == 0:
            raise AutoReconnect("away")

    monkeypatch.setattr(Process, "_io", io)
    told = play([(0, "necesito cambiar mi cita"), (2.6, "la del martes")], Agent(1.5), monkeypatch)
    assert told.replies == ["re: necesito cambiar mi cita\nla del martes"]
    asked = len(told.agent.asked)
    assert told.agent.forgotten in {asked - 1, asked}  # all but the last one; that too, if its decision was in doubt


def test_an_operators_word_discards_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told = play([(0, "¿hola?"), (1, OperatorSaid(by="luis", text="ya voy"))], Agent(3), monkeypatch)
    assert told.replies == ["re: ¿hola?", "ya voy"]


def test_a_burst_that_never_ends_is_answered_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    script = [(n * 0.8, f"y {n} y") for n in range(60)]
    told = play(script, Agent(2), monkeypatch)
    assert told.agent.asked[0][0] < 12.5  # twice QUIET_MAX_MS, and what the store takes
    assert len(told.world.turns) > 1
    answered = "".join(told.replies)
    assert all(f"y {n} y" in answered for n in range(60))


@pytest.mark.parametrize("moment", [0.5, 1.2, 2.9])
def test_a_restart_in_mid_burst_is_one_answer(moment: float, monkeypatch: pytest.MonkeyPatch) -> None:
    async def restart(world: World, process: Process) -> Process:
        process.kill()
        return Process(world, 0)

    script: Script = [(0, "Hola"), (moment, "¿mi cita es mañana?")]
    told = play(script, Agent(3), monkeypatch, restart)
    assert told.replies == ["re: Hola\n¿mi cita es mañana?"]
    assert told.outcomes == ["replied"]


def test_what_is_old_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(world: World, process: Process) -> Process:
        process.kill()
        await asyncio.sleep(100)
        return Process(world, 0)

    told = play([(0, "hola, quiero")], Agent(3), monkeypatch, late)
    assert told.agent.asked[-1][0] < 101


def test_one_channel_does_not_wait_for_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    other = MessageReceived(
        message_sid="SM9", channel="+14155230000", address=CONTACT, text="¿y aquí?", received_at=EPOCH
    )
    told = play([(0, "¿hola?"), (1, other)], Agent(3), monkeypatch)
    assert told.replies == ["re: ¿hola?", "re: ¿y aquí?"]


def test_a_hand_back_answers_what_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    script: Script = [
        (0, TakenOver(by="luis")),
        (1, "¿hay alguien?"),
        (2, OperatorSaid(by="luis", text="sí, soy Luis")),
        (3, "¿me cambias la cita?"),
        (4, "al jueves"),
        (5, HandedBack(by="luis")),
    ]
    told = play(script, Agent(2), monkeypatch)
    assert told.replies == ["sí, soy Luis", "re: ¿me cambias la cita?\nal jueves"]
    assert "human colleague: «sí, soy Luis»" in told.agent.histories[-1]
    assert told.outcomes[-1] == "replied"
