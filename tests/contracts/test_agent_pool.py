"""Pooled sockets against the simulator: kept, told once, kept alive, never leaked."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kit.clock import SystemClock
from kit.metrics import Metrics
from processor.agent.client import AgentClient, AgentUnavailableError, PersistentAgent, Question
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.agent.errors import AgentError
from processor.agent.timing import Timing
from processor.agent.tools import Tool
from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator
from sandbox.elevenlabs.agents import Limits, Ping
from sandbox.elevenlabs.steps import ClientTool, Delay, HumanSay, Later, Rule, Say, Silence

QUICK = Timing(connect=2, init=0.5, greeting=0.2, first=2, settle=0.05, unsure=1, tool=1, close=0.2, drain=1)
ROOMY = Limits(workspace_voice=-1, workspace_chat=-1)


@pytest.fixture
async def sim() -> AsyncIterator[ElevenLabsSimulator]:
    brains = [AgentFixture(agent_id=name, brain=name, limits=ROOMY) for name in ("echo", "counter", "recall", "rules")]
    async with ElevenLabsSimulator(brains, seed=7) as running:
        yield running


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return metrics.registry.get_sample_value(name, labels) or 0


@pytest.fixture
async def agent(sim: ElevenLabsSimulator, metrics: Metrics) -> AsyncIterator[ElevenLabsAgent]:
    one = ElevenLabsAgent(sim.url, "sk_sim", SystemClock(), timing=QUICK, metrics=metrics)
    await one.start()
    yield one
    await one.stop()
    await until(lambda: not sim.sessions)
    assert one.sockets == 0


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110  # the simulator tells nobody
            await asyncio.sleep(0.005)


def open_files() -> int:
    """0 where the system does not tell."""
    return len(list(Path("/proc/self/fd").glob("*")))


def question(text: str, agent_id: str = "counter", conversation: str = "c1", **more: Any) -> Question:
    return Question(conversation, agent_id, "+525512345678", text, **more)


def rules(sim: ElevenLabsSimulator, *steps: Any) -> None:
    sim.agent("rules").rules = [Rule(match="", steps=list(steps))]


async def test_a_conversation_keeps_its_socket(agent: ElevenLabsAgent) -> None:
    first, second = await agent.ask(question("a")), await agent.ask(question("b"))
    other = await agent.ask(question("c", conversation="c2"))
    name = first.conversation_id
    assert (first.messages, second.messages) == ([f"n=1 s={name}"], [f"n=2 s={name}"])
    assert (first.reused, second.reused, other.reused) == (False, True, False)


async def test_context_is_told_again_only_when_it_changed(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    for text, call, mark in [("1", "x", ""), ("2", "x", ""), ("3", "y", ""), ("4", "y", "op1"), ("5", "y", "op1")]:
        answer = await agent.ask(question(text, prior_call=call, history=f"h{text}", history_mark=mark))
    told = [
        (one["frame"]["context_id"], one["frame"]["text"])
        for one in sim.wire(answer.conversation_id)
        if one["dir"] == "in" and one["frame"]["type"] == "contextual_update"
    ]
    assert told == [("prior_call", "x"), ("wa_history", "h1"), ("prior_call", "y"), ("wa_history", "h4")]


async def test_facts_that_arrive_late_reach_the_open_conversation_once(
    sim: ElevenLabsSimulator, agent: ElevenLabsAgent
) -> None:
    assert (await agent.ask(question("¿la llamada?", "recall"))).messages == ["no lo sé"]
    for _ in range(3):
        late = await agent.ask(question("¿la llamada?", "recall", prior_call="Resumen: «una cita»"))
        assert (late.messages, late.reused) == (["Resumen: «una cita»"], True)
    assert sim.world.stats.counts["contextual_updates"] == 1


async def test_a_cancelled_question_drops_its_socket(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    rules(sim, Delay(ms=300), Say(text="{{n}}"))
    superseded = asyncio.create_task(agent.ask(question("uno", "rules")))
    await until(lambda: sim.world.stats.counts["user_messages"] == 1)
    superseded.cancel()
    await asyncio.wait({superseded})
    answer = await agent.ask(question("uno dos", "rules"))
    assert (answer.messages, answer.reused) == (["1"], False)


async def test_a_draft_that_is_thrown_away_is_not_remembered(sim: ElevenLabsSimulator, metrics: Metrics) -> None:
    """The answer was there and is not shown: what the agent knows next is the history that was."""
    agent = ElevenLabsAgent(sim.url, "sk_sim", SystemClock(), timing=QUICK, metrics=metrics)
    asking: AgentClient = PersistentAgent(agent, SystemClock(), metrics)
    await asking.ask(question("borrador", "recall"))
    asking.drop("c1")
    answer = await asking.ask(question("¿antes?", "recall", history="client: «hola»"))
    assert (answer.messages, answer.reused) == (["client: «hola»"], False)
    await until(lambda: len(sim.sessions) == 1)
    await agent.stop()
    assert [value(metrics, "hilo_agent_sockets_total", event=one) for one in ("opened", "reused")] == [2, 0]


async def test_pings_are_answered_while_idle(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    sim.agent("echo").ping = Ping(every_s=0.02, max_missed=2)
    await agent.ask(question("hola", "echo"))
    await asyncio.sleep(0.3)
    assert (await agent.ask(question("hola", "echo"))).reused
    assert "1006" not in sim.stats()["closes"]


async def test_what_nobody_asked_for_is_dropped_and_counted(
    sim: ElevenLabsSimulator, agent: ElevenLabsAgent, metrics: Metrics
) -> None:
    """And its session with it: there the agent remembers what the client never saw."""
    rules(sim, Say(text="{{n}}"), Later(ms=30, say="¿Sigues ahí?"))
    await agent.ask(question("hola", "rules"))
    await until(lambda: agent.counts.unsolicited == 1)
    rules(sim, Say(text="{{n}}"))
    answer = await agent.ask(question("hola", "rules"))
    assert (answer.messages, answer.reused) == (["1"], False)
    assert value(metrics, "hilo_agent_unsolicited_total") == 1


async def test_a_server_that_hangs_up_while_idle_costs_no_attempt(
    sim: ElevenLabsSimulator, agent: ElevenLabsAgent
) -> None:
    sim.fault("close", "idle", code=1002, error_type="transport_receive_timeout", match={"nth_session": 1}, ms=20)
    await agent.ask(question("hola"))
    await until(lambda: not agent._pool._idle["c1"].usable)
    answer = await PersistentAgent(agent, SystemClock(), Metrics()).ask(question("hola"))
    assert (answer.attempts, answer.reused) == (1, False)


@pytest.mark.parametrize(
    ("mode", "kept"), [("any_frame", True), ("user_input_or_activity", True), ("user_input", False)]
)
async def test_an_idle_conversation_whatever_counts_as_idle(sim: ElevenLabsSimulator, mode: Any, kept: bool) -> None:
    """Nobody knows which of the three is theirs. Where it cannot be kept, its end costs the client nothing."""
    ends_after = 1.6 if kept else 0.4  # a machine that stalls must not take sixteen signs of life from us
    for one in sim.world.agents.values():
        one.idle_reset_on, one.idle_receive_timeout_s = mode, ends_after
    agent = ElevenLabsAgent(sim.url, "sk_sim", SystemClock(), timing=Timing(activity=0.1, sweep=0.05, close=0.2))
    await agent.start()
    asking = PersistentAgent(agent, SystemClock(), Metrics())
    await asking.ask(question("hola"))
    await asyncio.sleep(ends_after + 0.6)
    answer = await asking.ask(question("hola"))
    assert (answer.reused, answer.attempts) == (kept, 1)
    assert answer.messages == [f"n={2 if kept else 1} s={answer.conversation_id}"]
    await agent.stop()


async def test_when_sessions_are_few_everybody_is_answered_in_the_end(sim: ElevenLabsSimulator) -> None:
    """Waiting for a session is no attempt and does not count against the deadline."""
    rules(sim, Delay(ms=100), Say(text="{{text}}"))
    agent = ElevenLabsAgent(sim.url, "sk_sim", SystemClock(), size=2, timing=QUICK)
    asking = PersistentAgent(agent, SystemClock(), Metrics(), attempts=1, deadline_s=1.5)
    questions = [question(str(number), "rules", f"c{number}") for number in range(40)]
    answers = await asyncio.gather(*map(asking.ask, questions))
    assert [answer.messages for answer in answers] == [[one.text] for one in questions]
    assert sim.stats()["peak"] <= 3  # one may be saying goodbye
    await agent.stop()


async def test_the_greeting_is_thrown_away_where_it_cannot_be_switched_off(
    sim: ElevenLabsSimulator, agent: ElevenLabsAgent
) -> None:
    greeter = sim.agent("echo")
    greeter.first_message, greeter.allow_overrides = "Hola, soy Eva.", ["conversation.text_only"]
    greeter.first_message_delay_ms = 50
    for conversation in ("c1", "c2"):
        assert (await agent.ask(question("buenas", "echo", conversation))).messages == ["buenas"]
    assert sim.world.stats.counts["handshakes"] == 3  # refused once, learned


async def test_text_only_is_never_given_up(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    sim.agent("echo").allow_overrides = []
    with pytest.raises(AgentError) as refused:
        await agent.ask(question("hola", "echo"))
    assert (refused.value.kind, refused.value.field) == ("config", "text_only")


async def test_said_again_after_their_queue_let_us_in(sim: ElevenLabsSimulator) -> None:
    agent = ElevenLabsAgent(sim.url, "sk_sim", SystemClock(), timing=replace(QUICK, first=0.3))
    for point in ("init", "before_reply"):
        sim.fault("queue", point, wait_ms=700)  # longer than silence is borne
        answer = await agent.ask(question("hola", "echo", point, prior_call="x"))
        assert answer.messages == ["hola"]
        assert sim.sessions[answer.conversation_id].contexts == {"prior_call": "x"}
    await agent.stop()


async def test_a_queue_that_never_moves_is_a_lack_of_capacity(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    sim.fault("queue", "init", wait_ms=50, then="timed_out")
    with pytest.raises(AgentError) as refused:
        await agent.ask(question("hola", "echo"))
    assert refused.value.kind == "capacity"


@pytest.mark.parametrize("kind", ["duplicate_event", "reorder"])
async def test_repeated_and_reordered_answers_are_one(
    sim: ElevenLabsSimulator, agent: ElevenLabsAgent, kind: str
) -> None:
    sim.fault(kind, "before_reply", type="agent_response")
    for text in ("uno", "dos"):
        assert (await agent.ask(question(text, "echo"))).messages == [text]


async def test_parts_stand_in_for_a_response_that_never_comes(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    sim.fault("drop_event", "before_reply", type="agent_response")
    assert (await agent.ask(question("uno dos tres", "echo"))).messages == ["uno dos tres"]


async def test_no_settling_while_a_stream_is_open(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    sim.agent("echo").omit_complete = True
    assert (await agent.ask(question("aprende", "echo"))).messages == ["aprende"]  # now it settles after 50 ms
    sim.fault("stall_mid_stream", "mid_stream", ms=300)
    assert (await agent.ask(question("uno dos tres", "echo"))).messages == ["uno dos tres"]


async def test_an_agent_that_does_not_announce_its_end_is_learned(
    sim: ElevenLabsSimulator, agent: ElevenLabsAgent
) -> None:
    sim.agent("echo").omit_complete = True
    first, second = await agent.ask(question("a", "echo")), await agent.ask(question("b", "echo"))
    assert first.seconds >= QUICK.unsure
    assert second.seconds < 0.5


async def test_an_escalation_without_a_word_is_seen(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    rules(sim, ClientTool(name="escalate_to_human", params={"reason": "x"}), Silence())
    answer = await agent.ask(question("humano", "rules"))
    assert (answer.outcome, answer.messages) == ("escalated", [])


async def test_unknown_failing_and_slow_tools_are_answered_with_an_error(sim: ElevenLabsSimulator) -> None:
    async def fails(_parameters: object) -> object:
        raise RuntimeError("secret")

    async def hangs(_parameters: object) -> object:
        return await asyncio.Event().wait()

    tools = {"fails": Tool(fails), "hangs": Tool(hangs, within_s=0.2)}
    agent = ElevenLabsAgent(sim.url, "sk_sim", SystemClock(), timing=QUICK, tools=tools)
    for name, result in [("who", "no tool who"), ("fails", "RuntimeError"), ("hangs", "no result within 0.2 s")]:
        rules(sim, ClientTool(name=name), Say(text="{{result}}"))
        assert (await agent.ask(question("x", "rules"))).messages == [f'{{"error": "{result}"}}']
    await agent.stop()


async def test_at_the_deadline_what_arrived_is_the_answer(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    rules(sim, Say(text="Un momento."), Delay(ms=3000), HumanSay(text="tarde"))
    answer = await PersistentAgent(agent, SystemClock(), Metrics(), deadline_s=0.4).ask(question("x", "rules"))
    assert (answer.messages, answer.truncated) == (["Un momento."], True)


async def test_a_host_that_fails_five_times_is_left_alone(sim: ElevenLabsSimulator, agent: ElevenLabsAgent) -> None:
    sim.fault("abort", "before_reply", times=None)
    for _ in range(5):
        with pytest.raises(AgentError):
            await agent.ask(question("hola"))
    before = sim.world.stats.counts["handshakes"]
    with pytest.raises(AgentUnavailableError, match="host is failing"):
        await PersistentAgent(agent, SystemClock(), Metrics(), backoff_s=0).ask(question("hola"))
    assert sim.world.stats.counts["handshakes"] == before


@pytest.mark.timeout(120)
async def test_ten_thousand_cycles_leave_nothing_behind(sim: ElevenLabsSimulator) -> None:
    """Open, use, close; every tenth is cancelled, each a turn of the loop later, every seventh is cut by the server."""
    agent = ElevenLabsAgent(sim.url, "sk_sim", SystemClock(), size=20, timing=Timing(close=0.5))
    tasks, files = len(asyncio.all_tasks()), open_files()
    numbers = iter(range(10_000))
    sim.fault("abort", "before_reply", times=None, match={"text_regex": "7$"})

    async def work() -> None:
        for number in numbers:
            asked = asyncio.create_task(agent.ask(question(str(number), "echo", f"c{number}")))
            if number % 10 == 0:
                for _ in range(number // 10 % 200):  # before, within and after the handshake, and when it is answered
                    await asyncio.sleep(0)
                asked.cancel()
            await asyncio.wait({asked})
            assert asked.cancelled() or number % 10 == 7 or asked.result().messages == [str(number)]
            assert asked.cancelled() or number % 10 != 7 or isinstance(asked.exception(), AgentError)
            if number % 10 == 1:
                agent._breaker.succeeded()
            agent.drop(f"c{number}")

    await asyncio.gather(*(work() for _ in range(16)))
    assert agent.sockets == 0
    await agent.stop()
    await until(lambda: not sim.sessions)
    await until(lambda: len(asyncio.all_tasks()) <= tasks)
    await until(lambda: open_files() <= files + 2)
