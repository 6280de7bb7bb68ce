"""Another agent, really asked from inside the seal: the ElevenLabs simulator, and nothing else, can be reached."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from kit.service import Tools
from ops.replaying import child
from ops.replaying.child import ChildFailed, sealed_child
from ops.replaying.report import markdown, report
from ops.replaying.sealed import lines
from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator, sandbox_agent
from schemas.replay import Asking, Result, Setup
from tests.unit.ops.past import SETUP, Past
from tests.unit.processor.states import completed, message

PLANTED = """
import os, runpy, socket, subprocess
from processor.agent.client import Answer
from processor.sealed import asking

def tried(effect):
    try:
        effect()
    except PermissionError:
        return "refused"
    except Exception as error:
        return repr(error)
    return "done"

async def planted(self, question):
    other = lambda: socket.create_connection(("127.0.0.1", OTHER))
    words = [tried(one) for one in (
        other, lambda: socket.socket().connect(("127.0.0.1", OTHER)), lambda: socket.getaddrinfo("localhost", OTHER),
        lambda: subprocess.run(["true"]), lambda: open("/proc/%d/environ" % os.getppid()), lambda: open("x", "w"),
        lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", OTHER)),
    )]
    return Answer([" ".join([*words, tried(lambda: socket.socket().connect(("127.0.0.1", PORT)))])])

asking.LiveAgent.ask = planted
runpy.run_module("processor.sealed", run_name="__main__")
"""


@pytest.fixture
async def sim() -> AsyncIterator[ElevenLabsSimulator]:
    async with ElevenLabsSimulator([sandbox_agent(), AgentFixture(agent_id="echo", brain="echo")], seed=7) as running:
        yield running


@pytest.fixture
async def past(tools: Tools) -> Past:
    past = Past(tools)
    await past.wrote(("call_1", completed(conversation_id="c1")))
    for number, text in enumerate(("hola", "¿cuándo es mi cita?"), 1):
        known = {"message_sid": f"SM{number}", "received_at": past.clock.now()}
        await past.wrote((f"SM{number}", message(text, **known)), says=[f"Respuesta {number}."])
    return past


def asking(url: str, agent_id: str = "echo", **more: object) -> Setup:
    known = Asking(agent_id=agent_id, base_url=url, api_key="sk_sim", attempts=1, deadline_s=20)
    return SETUP.model_copy(update={"asking": known.model_copy(update=more)})


async def results(past: Past, setup: Setup) -> list[Result]:
    tale = await past.tale()
    async with sealed_child() as process, aclosing(process.results(setup, lines(tale.stories))) as found:
        return [one async for one in found]


async def test_another_agent_is_asked_in_the_recorded_story(past: Past, sim: ElevenLabsSimulator) -> None:
    greeted, first, second = await results(past, asking(sim.url))
    assert (greeted.state, greeted.heard) == ("same", None)
    assert first.heard
    assert second.heard
    assert (first.state, first.asked, first.said) == ("changed", "hola", ["Respuesta 1."])
    assert ("hola" in first.heard.words[0], first.heard.outcome) == (True, "replied")
    told = [
        entry["frame"].get("text", "")
        for conversation in sim.world.logs._logs
        for entry in sim.wire(conversation)
        if entry["dir"] == "in"
    ]
    history = [text for text in told if "Respuesta 1." in text]
    assert history, "the second question comes after what was really said"
    written = report("echo", [greeted, first, second])
    assert (written["asked"], written["replies_compared"], written["replies_changed"]) == (2, 2, 2)
    assert (written["unavailable"], written["characters"]["then"]["mean"]) == (0, 12)
    assert "    ¿cuándo es mi cita?" in markdown(written)


async def test_an_agent_that_is_not_there_is_said_so(past: Past, sim: ElevenLabsSimulator) -> None:
    _, first, _ = await results(past, asking(sim.url, "nobody"))
    assert first.heard
    assert (first.heard.outcome, first.now and first.now.outcome) == ("unavailable", "apologised")
    with pytest.raises(ChildFailed, match="not found"):
        await results(past, asking("http://nobody.invalid"))


async def test_only_the_agents_host_is_let_through(
    past: Past, sim: ElevenLabsSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(sim.url.rpartition(":")[2])
    program = f"PORT = {port}; OTHER = {port + 1}\n{PLANTED}"
    monkeypatch.setattr(child, "COMMAND", ("-I", "-B", "-X", "utf8", "-c", program))
    _, first, _ = await results(past, asking(sim.url))
    assert first.now
    assert first.now.parts == ["refused " * 7 + "done"]
