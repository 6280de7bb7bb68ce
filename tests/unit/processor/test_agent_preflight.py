"""What `hilo doctor` says of an agent, and that it knows what the processor sends."""

from typing import Any

import pytest

from ops.agent_preflight import LANGUAGES, VARIABLES, preflight
from processor import texts
from processor.agent.client import Progress
from processor.drafts import Draft
from processor.talk import Look, question_of
from sandbox.elevenlabs import AgentFixture
from sandbox.elevenlabs.agents import Limits, Queueing
from sandbox.elevenlabs.rest import agent_json
from tests.unit.processor.states import POLICY, contact, conversation, message, run, state

GOOD: dict[str, Any] = {
    "agent_id": "a",
    "first_message": "Hola",
    "prompt": "Canal: {{channel}} {{system__is_text_only}}",
}


def findings(**fields: Any) -> list[tuple[str, str]]:
    found = preflight(agent_json(AgentFixture(**{**GOOD, **fields})))
    assert all(one.remedy and "\n" not in one.detail + one.remedy for one in found)
    return [(one.state, one.detail) for one in found]


def test_a_good_agent_has_no_findings() -> None:
    assert findings(limits=Limits(agent=-1, daily=100_000)) == []


def without(event: str) -> list[str]:
    return [one for one in AgentFixture(agent_id="a").client_events if one != event]


@pytest.mark.parametrize(
    ("fields", "state", "about"),
    [
        ({"allow_overrides": ["agent.first_message"]}, "fail", "text conversations"),
        ({"allow_overrides": ["conversation.text_only"]}, "warn", "greeting"),
        ({"client_events": without("agent_response")}, "fail", "agent_response is off"),
        ({"client_events": without("agent_response_complete")}, "warn", "agent_response_complete is off"),
        ({"client_events": without("agent_response_correction")}, "warn", "agent_response_correction is off"),
        ({"client_events": without("client_tool_call")}, "warn", "client_tool_call is off"),
        ({"client_events": without("agent_tool_response")}, "warn", "agent_tool_response is off"),
        ({"max_duration_seconds": 120}, "warn", "end after 120 s"),
        ({"max_duration_seconds": 500}, "warn", "end after 500 s"),
        ({"required_variables": ["plan"]}, "fail", "plan"),
        ({"queueing": Queueing(enabled=True)}, "warn", "queueing"),
        ({"limits": Limits(agent=5)}, "warn", "at most 5 conversations at once"),
        ({"limits": Limits(daily=50)}, "warn", "at most 50 conversations a day"),
        ({"language": "de"}, "warn", "speaks de"),
    ],
)
def test_findings(fields: dict[str, Any], state: str, about: str) -> None:
    ((found, detail),) = findings(**fields)
    assert found == state
    assert about in detail


def test_a_text_agent_needs_no_override() -> None:
    assert findings(text_only=True, first_message="", allow_overrides=[]) == []


@pytest.mark.parametrize("name", ["end_call", "transfer_to_number"])
def test_tools_of_the_phone(name: str) -> None:
    agent = agent_json(AgentFixture(**GOOD))
    agent["conversation_config"]["agent"]["prompt"]["built_in_tools"] = {name: {"name": name}, "skip_turn": None}
    (found,) = preflight(agent)
    assert name in found.detail


@pytest.mark.parametrize("agent", [{}, {"conversation_config": None}, {"platform_settings": []}])
def test_an_answer_without_its_fields_is_a_failure_and_no_crash(agent: dict[str, Any]) -> None:
    assert [one.state for one in preflight(agent)] == ["fail"]


def test_it_knows_our_languages() -> None:
    assert findings(language="pt-br") == []
    assert set(LANGUAGES) == set(texts.LANGUAGES)


def test_it_knows_what_the_processor_sends() -> None:
    draft = Draft("to_answer", contact(), conversation())
    question = question_of(run(message()), state(), draft, "hola", [], Look(), POLICY, Progress())
    assert set(question.variables) == VARIABLES
