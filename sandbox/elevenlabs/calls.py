"""Phone calls that never rang: seeded records that walk through their states and fire the webhook."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.elevenlabs.ending import finish_analysis
from sandbox.elevenlabs.records import Record
from sandbox.elevenlabs.world import World

__all__ = ["CallLine", "PhoneCall", "end_call", "place_call"]


class CallLine(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal["user", "agent"]
    message: str
    time_in_call_secs: int = 0


class PhoneCall(BaseModel):
    """`live` keeps the call in-progress until `POST /__sim/calls/{id}/end`."""

    model_config = ConfigDict(extra="forbid")

    phone: str
    agent_id: str = "agent_sandbox"
    summary: str = ""
    title: str | None = None
    transcript: list[CallLine] = []
    data: dict[str, Any] = {}
    dynamic_variables: dict[str, Any] = {}
    customer_name: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    direction: Literal["outbound", "inbound"] = "outbound"
    our_number: str = "+15550100"
    duration_s: int = 95
    call_successful: Literal["success", "failure", "unknown"] = "success"
    live: bool = False
    failed: bool = False
    analysis_delay_s: float = Field(0.0, ge=0)


def place_call(world: World, call: PhoneCall) -> Record:
    """Add the call; unless `live` it has just ended."""
    variables = call.dynamic_variables | ({"customer_name": call.customer_name} if call.customer_name else {})
    ours, theirs = call.our_number, call.phone
    caller, called = (ours, theirs) if call.direction == "outbound" else (theirs, ours)
    known = world.agents.get(call.agent_id)
    record = world.records.add(
        Record(
            conversation_id=call.conversation_id or world.new_id("conv"),
            agent_id=call.agent_id,
            agent_name=known.name if known else "",
            started=world.clock.unix() - (0 if call.live else call.duration_s),
            text_only=False,
            user_id=call.user_id,
            source="twilio",
            status="in-progress" if call.live else "processing",
            variables=variables | {"system__caller_id": caller, "system__called_number": called},
            phone_call={
                "type": "twilio",
                "direction": call.direction,
                "phone_number_id": "phnum_sim",
                "agent_number": ours,
                "external_number": theirs,
                "stream_sid": world.new_id("MZ"),
                "call_sid": world.new_id("CA"),
            },
            summary=call.summary,
            title=call.title,
            data=call.data,
            call_successful=call.call_successful,
        )
    )
    for line in call.transcript:
        record.say(line.role, line.message, record.started + line.time_in_call_secs)
    if not call.live:
        end_call(world, record, call.analysis_delay_s, failed=call.failed)
    return record


def end_call(world: World, record: Record, analysis_delay_s: float = 0.0, *, failed: bool = False) -> None:
    """Hang up: processing, then `done` (or `failed`) and the webhook."""
    record.ended = world.clock.unix()
    if failed:
        record.status = "failed"
        record.error = {"code": 1002, "reason": "simulated", "error_type": "dependency_error"}
        world.webhook.post(record)
        return
    record.status = "processing"
    if analysis_delay_s > 0:
        world.clock.call_later(analysis_delay_s, lambda: finish_analysis(world, record))
    else:
        finish_analysis(world, record)
