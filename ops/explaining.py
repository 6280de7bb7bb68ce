"""A story as one document: times, gaps, causes. Pure; the tree and `--json` show the same."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kit.kafka.reading import Stored
from ops.causes import STATES, why_send, why_turn
from ops.story import Story
from ops.trail import Status, Trail
from schemas.attributes import Undecodable, header
from schemas.documents import SendDocument, TurnDocument

__all__ = ["told"]

Json = dict[str, Any]


def told(story: Story, trail: Trail) -> Json:
    turn = story.turn
    conversation = turn.conversation_after or {}
    records = [_record(turn, *one, trail.records) for one in zip(turn.events, _positions(turn), strict=True)]
    return {
        "asked": story.asked,
        "asked_is": story.asked_is,
        "contact": turn.contact,
        "conversation": conversation.get("_id"),
        "records": records,
        "turn": _turn(turn, records),
        "sends": [_send(story, name, trail) for name in story.parts],
        "fences": [_fence(one.data) for one in turn.outbound if "reason" in one.data],
        "notices": [_notice(one.id, one.type, one.data) for one in turn.notices],
        "fenced_by": _by(story.fenced_by),
        "not_looked_at": trail.gap,
    }


def _positions(turn: TurnDocument) -> list[str]:
    """One for each event: a turn of an old version may lack them."""
    return turn.positions if len(turn.positions) == len(turn.events) else [""] * len(turn.events)


def _record(turn: TurnDocument, event: str, position: str, log: Mapping[str, Stored]) -> Json:
    message = next((one for one in turn.messages if one["_id"] == event), {})
    stored = log.get(position)
    received, logged = message.get("timestamp"), stored.at if stored else None
    return {
        "event": event,
        "type": (_header(stored, "ce_type") if stored else None) or turn.kind,
        "source": _header(stored, "ce_source") if stored else None,
        "position": position,
        "kind": message.get("kind"),
        "text": message.get("content") or (_call(turn) if turn.call else None),
        "transcript": message.get("transcript"),
        "received_at": _time(received),
        "logged_at": _time(logged),
        "replayed": _header(stored, "hilo_redriven_from") if stored else None,
    }


def _header(stored: Stored, name: str) -> str | None:
    try:
        return header(stored.record.headers, name)
    except Undecodable:
        return None


def _call(turn: TurnDocument) -> str | None:
    return (turn.call or {}).get("summary") if turn.kind.startswith("hilo.call-") else None


def _turn(turn: TurnDocument, records: list[Json]) -> Json:
    last = max((one["received_at"] or one["logged_at"] or "" for one in records), default="")
    return {
        "id": turn.id,
        "seq": turn.seq,
        "outcome": turn.outcome,
        "cause": why_turn(turn),
        "by": turn.context.get("by"),
        "decided_at": _time(turn.decided_at),
        "after_s": _seconds(datetime.fromisoformat(last), turn.decided_at) if last else None,
        "done": turn.done,
        "agent": turn.agent,
        "superseded": [{"at": _time(one.get("at")), "bubbles": one.get("bubbles")} for one in turn.superseded],
        "context": {name: text for name, text in turn.context.items() if name not in {"by", "discarded"}},
        "said": turn.raw_reply,
    }


def _send(story: Story, name: str, trail: Trail) -> Json:
    request, part = _decided(story.turn, name)
    send = story.sends.get(name)
    base = {"id": name, "purpose": request.get("purpose", ""), "text": part.get("text"), "to": request.get("to")}
    if send is None:
        return {**base, **NO_ROW, "not_after": request.get("not_after")}
    return {**base, **_row(story, send, trail), "not_after": _time(send.not_after)}


def _decided(turn: TurnDocument, name: str) -> tuple[Json, Json]:
    """The request that a part belongs to, and the part; empty where the turn does not tell them any more."""
    for event in turn.outbound:
        for part in event.data.get("parts", ()):
            if part["send_id"] == name:
                return event.data, part
    return {}, {}


NO_ROW: Json = {
    "state": "waiting", "status": "", "cause": STATES["waiting"], "sid": None, "template": False, "error_code": None,
    "begun_at": None, "after_s": None, "again_at": None, "attempts": [], "statuses": [],
}  # fmt: skip


def _row(story: Story, send: SendDocument, trail: Trail) -> Json:
    attempts = [
        {**one.model_dump(), "at": _time(one.at), "after_s": _seconds(story.turn.decided_at, one.at)}
        for one in send.attempts
    ]
    known = [one for one in dict.fromkeys([*(a.sid for a in send.attempts), send.sid]) if one]
    return {
        "state": send.state,
        "status": send.status,
        "cause": why_send(send),
        "sid": send.sid,
        "template": send.template,
        "error_code": send.error_code,
        "begun_at": _time(send.created_at),
        "after_s": _seconds(story.turn.decided_at, send.created_at),
        "again_at": _time(send.again_at),
        "attempts": attempts,
        "statuses": [_status(sid, one, send) for sid in known for one in trail.statuses.get(sid, ())],
    }


def _status(sid: str, status: Status, send: SendDocument) -> Json:
    posted = next((one.at for one in send.attempts if one.sid == sid), send.created_at)
    return {
        "sid": sid,
        "status": status.status,
        "at": _time(status.at),
        "after_s": _seconds(posted, status.at),
        "error_code": status.code,
    }


def _fence(data: Json) -> Json:
    return {"below": data["seq"], "reason": data["reason"], "by": data.get("by", "")}


def _notice(name: str, kind: str, data: Json) -> Json:
    return {"id": name, "type": kind, "reason": data.get("reason")}


def _by(turn: TurnDocument | None) -> Json | None:
    if turn is None:
        return None
    about = {"outcome": turn.outcome, "by": turn.context.get("by"), "decided_at": _time(turn.decided_at)}
    return {"turn": turn.id, "seq": turn.seq, **about}


def _time(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if isinstance(moment, datetime) else None


def _seconds(before: datetime, after: datetime) -> float:
    return round((after - before).total_seconds(), 3)
