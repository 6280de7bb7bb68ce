"""Conversation records as the REST routes return them (reference §4)."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["Record", "Records", "Status"]

Status = Literal["initiated", "in-progress", "processing", "done", "failed"]
Json = dict[str, Any]

_TURNS = 400  # per record, the oldest are forgotten


@dataclass(slots=True)
class Record:
    """One conversation, phone or text, from its start until it is forgotten."""

    conversation_id: str
    agent_id: str
    started: int
    text_only: bool
    user_id: str | None = None
    source: str = "unknown"
    status: Status = "in-progress"
    agent_name: str = ""
    language: str = "es"
    ended: int | None = None
    transcript: list[Json] = field(default_factory=list)
    variables: Json = field(default_factory=dict)
    phone_call: Json | None = None
    error: Json | None = None
    termination_reason: str = ""
    summary: str | None = None
    title: str | None = None
    data: Json = field(default_factory=dict)
    call_successful: str = "success"
    analysed: bool = False
    files: list[str] = field(default_factory=list)

    def say(self, role: str, message: str, now: int, **tools: Any) -> None:
        entry = {
            "role": role,
            "message": message,
            "time_in_call_secs": max(0, now - self.started),
            "source_medium": "text" if self.text_only else "audio",
            "tool_calls": [],
            "tool_results": [],
        }
        self.transcript.append(entry | tools)
        del self.transcript[:-_TURNS]

    def as_json(self) -> Json:
        spoken = not self.text_only
        return {
            "agent_id": self.agent_id,
            "agent_name": self.agent_name,
            "conversation_id": self.conversation_id,
            "status": self.status,
            "user_id": self.user_id,
            "has_audio": spoken,
            "has_user_audio": spoken,
            "has_response_audio": spoken,
            "has_auxiliary_audio": False,
            "transcript": self.transcript,
            "metadata": self._metadata(),
            "analysis": self._analysis() if self.analysed else None,
            "conversation_initiation_client_data": {"dynamic_variables": self.variables},
        }

    def as_list_item(self, *, with_summary: bool) -> Json:
        item: Json = {
            "agent_id": self.agent_id,
            "agent_name": self.agent_name,
            "conversation_id": self.conversation_id,
            "start_time_unix_secs": self.started,
            "call_duration_secs": self.duration,
            "message_count": len(self.transcript),
            "status": self.status,
            "call_successful": self.call_successful if self.analysed else "unknown",
            "direction": (self.phone_call or {}).get("direction"),
            "user_id": self.user_id,
            "text_only": self.text_only,
            "conversation_initiation_source": self.source,
            "call_summary_title": self.title,
        }
        return item | ({"transcript_summary": self.summary} if with_summary else {})

    def as_summary(self, most: int | None) -> Json:
        turns = [{"role": t["role"], "message": t["message"]} for t in self.transcript if t["message"]]
        shown = turns[-most:] if most else turns
        return {
            "conversation_id": self.conversation_id,
            "agent_id": self.agent_id,
            "status": self.status,
            "call_summary_title": self.title,
            "transcript_summary": self.summary if self.analysed else None,
            "call_successful": self.call_successful if self.analysed else None,
            "message_count": len(turns),
            "messages": shown if most != 0 else None,
            "messages_omitted": 0 if most is None else max(0, len(turns) - most),
            "note": None,
        }

    @property
    def duration(self) -> int:
        return max(0, (self.ended or self.started) - self.started)

    def _metadata(self) -> Json:
        return {
            "start_time_unix_secs": self.started,
            "accepted_time_unix_secs": self.started,
            "call_duration_secs": self.duration,
            "termination_reason": self.termination_reason,
            "text_only": self.text_only,
            "main_language": self.language,
            "phone_call": self.phone_call,
            "error": self.error,
            "conversation_initiation_source": self.source,
        }

    def _analysis(self) -> Json:
        results = {
            name: {"data_collection_id": name, "value": value, "rationale": "simulated"}
            for name, value in self.data.items()
        }
        return {
            "call_successful": self.call_successful,
            "transcript_summary": self.summary or "",
            "call_summary_title": self.title,
            "evaluation_criteria_results": {},
            "data_collection_results": results,
        }


class Records:
    """The newest records; beyond `most` the oldest is forgotten."""

    def __init__(self, most: int = 20_000) -> None:
        self._most = most
        self._records: OrderedDict[str, Record] = OrderedDict()

    def add(self, record: Record) -> Record:
        self._records[record.conversation_id] = record
        if len(self._records) > self._most:
            self._records.popitem(last=False)
        return record

    def get(self, conversation_id: str) -> Record | None:
        return self._records.get(conversation_id)

    def delete(self, conversation_id: str) -> bool:
        return self._records.pop(conversation_id, None) is not None

    def newest_first(self) -> list[Record]:
        return sorted(self._records.values(), key=lambda record: record.started, reverse=True)

    def clear(self) -> None:
        self._records.clear()
