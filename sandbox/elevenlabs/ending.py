"""What becomes of a conversation's record after its end: processing, analysis, webhook."""

from sandbox.elevenlabs.agents import AgentFixture
from sandbox.elevenlabs.records import Record
from sandbox.elevenlabs.world import World

__all__ = ["end_record", "finish_analysis"]

_NORMAL = {1000, 1001, 1005}


def end_record(world: World, record: Record, agent: AgentFixture, code: int, reason: str) -> None:
    """A normal close is analysed for a while and is then `done`; anything else has `failed` at once."""
    if world.records.get(record.conversation_id) is not record:
        return
    record.ended = world.clock.unix()
    record.termination_reason = reason
    if code not in _NORMAL or record.error:
        record.status = "failed"
        record.error = record.error or {
            "code": code,
            "reason": reason,
            "error_type": "websocket_disconnect" if code == 1006 else "unknown",
        }
        world.webhook.post(record)
        return
    record.status = "processing"
    if agent.analysis_delay_s <= 0:
        finish_analysis(world, record)
    else:
        world.clock.call_later(agent.analysis_delay_s, lambda: finish_analysis(world, record))


def finish_analysis(world: World, record: Record) -> None:
    if world.records.get(record.conversation_id) is not record:
        return  # deleted, or forgotten by a reset
    record.status = "done"
    record.analysed = True
    if record.summary is None:
        said = [turn["message"] for turn in record.transcript if turn["role"] == "user" and turn["message"]]
        topic = f" Lo último que escribió: «{said[-1][:200]}»." if said else ""
        record.summary = f"Conversación de {len(record.transcript)} mensajes.{topic}"
        record.title = record.title or (said[0][:60] if said else "Conversación")
    world.webhook.post(record)
