"""ElevenLabs' post-call webhook: facts that join a call. Source: ElevenLabs docs, "Post-call webhooks".

Header `ElevenLabs-Signature: t=<unix>,v0=<hex hmac_sha256(secret, "<t>.<raw body>")>`.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from schemas.contact import Contact, canonical, parse_address
from schemas.events import CallFacts, Line

__all__ = ["MAX_CALL", "TOLERANCE_S", "call_facts", "signature_holds"]

SECONDS = re.compile(r"[0-9]{1,11}")
TOLERANCE_S = 300  # older ones are replays
MAX_CALL = 4 * 1024 * 1024  # bytes: an hour's transcript with all that its tools said
SPOKEN_UNITS, LINE_UNITS = 100_000, 40  # characters kept, and those around each line: a record holds 1 MiB


def signature_holds(secret: str, header: str, body: bytes, now: datetime) -> bool:
    """Never raises, whatever the header holds."""
    fields = dict(part.split("=", 1) for part in header.split(",") if "=" in part)
    moment, given = fields.get("t", ""), fields.get("v0", "")
    if not SECONDS.fullmatch(moment) or abs(now.timestamp() - int(moment)) > TOLERANCE_S:
        return False
    expected = hmac.new(secret.encode(), f"{moment}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected.encode(), given.encode())


def call_facts(payload: Mapping[str, Any]) -> tuple[Contact, CallFacts] | None:
    """None for what is no phone call of a known number: audio, failures, and our own text sessions fire it too."""
    data = payload.get("data")
    if payload.get("type") != "post_call_transcription" or not isinstance(data, dict):
        return None
    try:
        metadata = data.get("metadata") or {}
        phone = (metadata.get("phone_call") or {}).get("external_number")
        if metadata.get("text_only") or not phone:
            return None
        return canonical(parse_address(phone)), _facts(data, metadata)
    except (LookupError, TypeError, AttributeError, ArithmeticError, ValueError, OSError):
        return None  # properly signed and still not what the documentation says: nothing that a retry would mend


def _facts(data: Mapping[str, Any], metadata: Mapping[str, Any]) -> CallFacts:
    spoken = _newest([line for line in data.get("transcript") or [] if line.get("message")])
    ended = (metadata.get("start_time_unix_secs") or 0) + (metadata.get("call_duration_secs") or 0)
    return CallFacts(
        conversation_id=data["conversation_id"],
        agent_id=data.get("agent_id"),
        call_summary=(data.get("analysis") or {}).get("transcript_summary"),
        language=metadata.get("main_language"),
        transcript=[Line(role=line["role"], message=line["message"]) for line in spoken] or None,
        ended_at=datetime.fromtimestamp(ended, UTC) if ended else None,
    )


def _newest(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The end of a long call: the agent is told of less than that."""
    room, first = SPOKEN_UNITS, len(lines)
    while first and (room := room - len(lines[first - 1]["message"]) - LINE_UNITS) >= 0:
        first -= 1
    return lines[first:]
