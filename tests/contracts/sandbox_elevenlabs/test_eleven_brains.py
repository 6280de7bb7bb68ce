"""What the brains answer, and every step that a rule can hold."""

from typing import Any

import pytest

from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator
from sandbox.elevenlabs.brains import Turn, fill, summary_of, think
from sandbox.elevenlabs.steps import ClientTool, Rule, Say
from tests.contracts.sandbox_elevenlabs.chat import Chat, said, types

OURS = """[Background, not an instruction: the phone call you had with this client before this chat.]
Client: «Ana Pérez»
Summary: «Pidió cita el martes a las 10.»
client: «¿El martes?»
you: «A las 10.»"""


@pytest.mark.parametrize(
    "context",
    [
        OURS,
        "[prior phone call]\nPidió cita el martes a las 10.\nuser: hola",
        "[prior phone call] Pidió cita el martes a las 10.",
        "Pidió cita el martes a las 10.",
        "Resumen de la llamada:\nPidió cita el martes\na las 10.\n\nuser: hola",
    ],
)
def test_the_summary_is_found_in_the_context(context: str) -> None:
    assert summary_of(context) == "Pidió cita el martes a las 10."


def _answer(text: str, **turn: Any) -> str:
    known = Turn(text, "conv_1", **turn)
    return " ".join(fill(step.text, known.values()) for step in think("rules", known) if isinstance(step, Say))


@pytest.mark.parametrize(
    "text", ["¿De qué hablamos?", "por la llamada", "¿a qué hora?", "la cita", "Quiero CAMBIAR la cita"]
)
def test_questions_about_the_call_quote_it(text: str) -> None:
    assert "Pidió cita el martes a las 10." in _answer(text, contexts={"prior_call": OURS})
    assert "Pidió" not in _answer(text)
    assert "{{" not in _answer(text)


def test_the_demo_agent_is_polite() -> None:
    assert _answer("Hola", variables={"customer_name": "Ana Pérez"}) == "¡Hola, Ana! Soy Eva. ¿En qué te puedo ayudar?"
    assert _answer("Hola").startswith("¡Hola! ")
    assert _answer("¿cómo me llamo?", variables={"customer_name": "Ana Pérez"}).endswith("Ana Pérez.")
    assert "luna" in _answer("¿qué te dije antes?", history=[("user", "luna"), ("agent", "ok")])
    assert len(_answer("prueba larga")) > 4096
    for text in ("gracias", "adiós", "¿cuánto cuesta?", "no", "vale", "xyzzy", "¿eh?"):
        assert _answer(text)


@pytest.mark.parametrize("text", ["humano", "quiero hablar con una persona", "pásame con un asesor", "agent please"])
def test_asking_for_a_person_escalates(text: str) -> None:
    tools = [step for step in think("rules", Turn(text, "conv_1")) if isinstance(step, ClientTool)]
    assert [tool.name for tool in tools] == ["escalate_to_human"]
    assert set(tools[0].params) == {"reason", "summary", "priority"}


async def test_recall_and_counter_prove_what_survived(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim, "recall") as chat:
        await chat.init(dynamic_variables={"customer_name": "Ana"})
        for text in ("viejo", "nuevo"):
            await chat.send("contextual_update", text=text, context_id="prior_call")
        await chat.send("contextual_update", text="turnos", context_id="wa_history")
        assert [await chat.ask(q) for q in ("¿la llamada?", "¿y antes?", "¿mi nombre?")] == ["nuevo", "turnos", "Ana"]
    async with Chat(sim, "counter") as chat:
        await chat.init()
        assert await chat.ask("a") == f"n=1 s={chat.conversation_id}"
        assert await chat.ask("b") == f"n=2 s={chat.conversation_id}"


async def test_escalation_over_the_wire(sim: ElevenLabsSimulator) -> None:
    async with Chat(sim) as chat:
        await chat.init()
        await chat.send("contextual_update", text=OURS, context_id="prior_call")
        await chat.send("user_message", text='un "humano"')
        call = (await chat.until("client_tool_call"))["client_tool_call"]
        assert 'un "humano"' in call["parameters"]["summary"]
        await chat.send("client_tool_result", tool_call_id=call["tool_call_id"], result='{"ok":true}', is_error=False)
        await chat.until("agent_response_complete")
    assert types(chat.frames).index("agent_tool_response") < types(chat.frames).index("agent_response")


def _agent(steps: list[dict[str, Any]]) -> AgentFixture:
    rule = Rule.model_validate({"match": "", "steps": steps})
    return AgentFixture(agent_id="steps", rules=[rule], emission="response_only", enterprise=True, client_events=EVENTS)


EVENTS = [
    *["conversation_initiation_metadata", "agent_response", "agent_response_complete", "agent_response_correction"],
    *["agent_tool_request", "agent_tool_response", "client_tool_call", "guardrail_triggered", "agent_typing"],
    *["external_agent_connected", "external_agent_disconnected"],
]
SAY = {"do": "say", "text": "a"}


HUMAN = [{"do": "human_connect"}, {"do": "human_say", "text": "b"}, {"do": "human_disconnect"}]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([SAY, {"do": "delay", "ms": 1}, SAY], ["agent_response", "agent_response"]),
        ([SAY, {"do": "repeat_last"}], ["agent_response", "agent_response"]),
        ([SAY, {"do": "correct", "text": "b"}], ["agent_response", "agent_response_correction"]),
        ([{"do": "skip_turn"}], ["agent_tool_response"]),
        ([{"do": "server_tool", "name": "x"}, SAY], ["agent_tool_request", "agent_tool_response", "agent_response"]),
        ([{"do": "client_tool", "name": "x", "expects_response": False}, SAY], ["client_tool_call", "agent_response"]),
        ([{"do": "transfer_agent", "agent_id": "echo"}, SAY], ["agent_tool_response", "agent_response"]),
        (HUMAN, ["external_agent_connected", "agent_typing", "agent_response", "external_agent_disconnected"]),
    ],
)
async def test_steps(sim: ElevenLabsSimulator, steps: list[dict[str, Any]], expected: list[str]) -> None:
    sim.world.agents["steps"] = _agent(steps)
    async with Chat(sim, "steps") as chat:
        await chat.init()
        assert types(await chat.turn("x")) == [*expected, "agent_response_complete"]


@pytest.mark.parametrize(
    ("step", "code", "last"),
    [
        ({"do": "end_call"}, 1000, "agent_tool_response"),
        ({"do": "guardrail"}, 1002, "error"),
        ({"do": "error", "error_type": "llm_error"}, 1002, "error"),
        ({"do": "close", "code": 1011, "reason": "x"}, 1011, "agent_response"),
        ({"do": "transfer_agent", "agent_id": "nobody"}, 1008, "error"),
        ({"do": "drop"}, 1006, "agent_response"),
    ],
)
async def test_steps_that_end_it(sim: ElevenLabsSimulator, step: dict[str, Any], code: int, last: str) -> None:
    sim.world.agents["steps"] = _agent([SAY, step])
    async with Chat(sim, "steps") as chat:
        await chat.init()
        await chat.send("user_message", text="x")
        assert (await chat.closed())[0] == code
    assert chat.frames[-1]["type"] == last


async def test_silence_and_later(sim: ElevenLabsSimulator) -> None:
    sim.world.agents["steps"] = _agent([{"do": "later", "ms": 5000, "say": "luego"}, {"do": "silence"}])
    async with Chat(sim, "steps") as chat:
        await chat.init()
        await chat.send("user_message", text="x")
        await chat.settle()
        await sim.clock.advance(5)
        assert said([await chat.until("agent_response")]) == ["luego"]
    assert sim.stats()["unsolicited"] == 1
