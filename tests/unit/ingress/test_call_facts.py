"""ElevenLabs' post-call webhook: which of them are facts of a phone call (ElevenLabs docs, "Post-call webhooks")."""

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from ingress.elevenlabs import call_facts
from schemas.events import CallFacts, Line

PAYLOAD: dict[str, Any] = {
    "type": "post_call_transcription",
    "event_timestamp": 1764000100,
    "data": {
        "agent_id": "agent_1",
        "conversation_id": "conv_1",
        "status": "done",
        "transcript": [
            {"role": "agent", "message": "Hola", "time_in_call_secs": 0, "tool_calls": []},
            {"role": "agent", "message": None, "tool_calls": [{"name": "lookup"}]},
            {"role": "user", "message": "Quiero una cita", "time_in_call_secs": 3},
        ],
        "metadata": {
            "start_time_unix_secs": 1764000000,
            "call_duration_secs": 95,
            "text_only": False,
            "main_language": "es",
            "phone_call": {"type": "twilio", "direction": "outbound", "external_number": "+5215512345678"},
        },
        "analysis": {"call_successful": "success", "transcript_summary": "Pidió cita el martes."},
    },
}


def payload(path: str = "", value: Any = None) -> dict[str, Any]:
    """The recorded payload with one place changed."""
    changed = copy.deepcopy(PAYLOAD)
    *way, last = path.split(".")
    place = changed
    for step in way:
        place = place[step]
    place[last] = value
    return changed


def test_a_recorded_call() -> None:
    assert call_facts(PAYLOAD) == (
        "+525512345678",
        CallFacts(
            conversation_id="conv_1",
            agent_id="agent_1",
            call_summary="Pidió cita el martes.",
            language="es",
            transcript=[Line(role="agent", message="Hola"), Line(role="user", message="Quiero una cita")],
            ended_at=datetime.fromtimestamp(1764000095, UTC),
        ),
    )


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("type", "post_call_audio", id="audio"),
        pytest.param("type", "call_initiation_failure", id="a call that never was"),
        pytest.param("type", None, id="no type"),
        pytest.param("data.metadata.text_only", True, id="our own text session"),
        pytest.param("data.metadata.phone_call", None, id="no phone call"),
        pytest.param("data.metadata.phone_call.external_number", "", id="no number"),
        pytest.param("data.metadata.phone_call.external_number", "anonymous", id="a withheld number"),
        pytest.param("data.metadata", None, id="no metadata"),
        pytest.param("data", None, id="no data"),
        pytest.param("data", "text", id="data that is no object"),
        pytest.param("data.transcript", [{"role": "ghost", "message": "x"}], id="a role we do not know"),
        pytest.param("data.transcript", [{"message": "x"}], id="a line without a role"),
        pytest.param("data.conversation_id", 7, id="an id that is no text"),
    ],
)
def test_what_is_no_phone_call_of_a_known_number_is_left_alone(path: str, value: Any) -> None:
    assert call_facts(payload(path, value)) is None


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("data.metadata", [1], id="metadata is a list"),
        pytest.param("data.metadata.phone_call", "+5215512345678", id="phone_call is a string"),
        pytest.param("data.metadata.phone_call.external_number", 5215512345678, id="the number is a number"),
        pytest.param("data.analysis", "fine", id="analysis is a string"),
        pytest.param("data.transcript", ["hola"], id="lines are strings"),
        pytest.param("data.metadata.start_time_unix_secs", 10**18, id="a start beyond all calendars"),
    ],
)
def test_a_payload_of_another_shape_is_left_alone(path: str, value: Any) -> None:
    assert call_facts(payload(path, value)) is None


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        pytest.param("data.analysis", None, "call_summary", id="analysis not there yet"),
        pytest.param("data.transcript", None, "transcript", id="transcript excluded"),
        pytest.param("data.transcript", [], "transcript", id="nothing was said"),
        pytest.param("data.metadata.main_language", None, "language", id="language unknown"),
        pytest.param("data.agent_id", None, "agent_id", id="agent unknown"),
    ],
)
def test_facts_may_be_few(path: str, value: Any, field: str) -> None:
    found = call_facts(payload(path, value))
    assert found
    assert getattr(found[1], field) is None


def test_of_a_long_call_the_end_is_kept() -> None:
    lines = [{"role": "user", "message": f"{number:04} " + "x" * 995} for number in range(300)]
    found = call_facts(payload("data.transcript", lines))
    assert found
    kept = found[1].transcript or []
    assert [line.message[:4] for line in kept] == [f"{number:04}" for number in range(300 - len(kept), 300)]
    assert 90 < len(kept) < 100
    many = call_facts(payload("data.transcript", [{"role": "user", "message": "é"}] * 50_000))
    assert many
    assert len(many[1].model_dump_json()) < 200_000


def test_a_call_without_times_has_no_end() -> None:
    changed = payload("data.metadata.start_time_unix_secs", None)
    changed["data"]["metadata"]["call_duration_secs"] = None
    found = call_facts(changed)
    assert found
    assert found[1].ended_at is None
