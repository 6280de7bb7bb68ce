"""What stands for the world outside: everything answers as it did when a turn was decided."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from kit.kafka.delivery import Delivery
from processor.agent.client import AgentUnavailableError, Answer, Question
from schemas.attributes import Envelope
from schemas.documents import CallDocument, FenceDocument, SendDocument, TurnDocument
from schemas.events import Event, MessageReceived
from schemas.notices import AgentUnavailable
from schemas.replay import Heard, Seen

__all__ = ["UNKNOWN", "Box", "Lane", "Moment", "RecordedAgent", "RecordedCalls", "RecordedReads", "RecordedVoice"]

UNKNOWN = "[no answer of the agent is recorded]"
ANSWERED = {"replied", "no_reply", "escalated"}
NO_FENCE = 2**62


class Moment:
    """The clock: it stands at the recorded moment. Sleeping costs nothing."""

    def __init__(self) -> None:
        self.at = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, _seconds: float) -> None:
        """It is over."""

    async def sleep_until(self, _moment: datetime) -> None:
        """It is there."""


class Lane:
    """A run as it was formed then: nothing joins it, and `behind` is what made its draft unwelcome, if anything."""

    def __init__(self, records: Sequence[Delivery], behind: Sequence[Delivery]) -> None:
        self.records = tuple(records)
        self.behind = tuple(behind)

    async def arrival(self, _seconds: float) -> bool:
        return False

    async def linger(self, _seconds: float) -> bool:
        return False

    def take(self) -> int:
        return 0


class Box:
    """Stands for Kafka: it collects, and nobody ever opens it."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Envelope[Event]]] = []

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        self.published.append((topic, envelope))


class RecordedAgent:
    """Gives the answer of `turn`; where none is recorded it says so in words, so that the story goes on."""

    def __init__(self) -> None:
        self.turn: TurnDocument | None = None
        self.unanswered: Question | None = None
        """The last question whose answer nobody knows."""
        self.heard: Heard | None = None

    async def ask(self, question: Question) -> Answer:
        turn = self.turn
        if turn is not None and turn.outcome in ANSWERED:
            return recorded_answer(turn)
        if turn is not None and turn.outcome == "apologised":
            raise _unavailable(turn)
        self.unanswered = question
        return Answer([UNKNOWN])

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""


def recorded_answer(turn: TurnDocument) -> Answer:
    agent = turn.agent
    return Answer(
        turn.raw_reply,
        agent.get("conversation_id", ""),
        agent.get("tools", []),
        agent.get("attempts", 1),
        agent.get("seconds", 0.0),
        "escalated" if turn.outcome == "escalated" else "replied" if turn.raw_reply else "no_reply",
    )


def _unavailable(turn: TurnDocument) -> AgentUnavailableError:
    told: Mapping[str, Any] = next((one.data for one in turn.notices if one.type == AgentUnavailable.type_name()), {})
    return AgentUnavailableError(told.get("attempts", 0), told.get("reason", "unknown"))


class RecordedCalls:
    """What ElevenLabs told of a call by then."""

    def __init__(self) -> None:
        self.turn: TurnDocument | None = None

    async def completed(self, call: CallDocument) -> CallDocument:
        stored = self.turn.call if self.turn else None
        if not stored or stored["_id"] != call.id or call.summary or not call.conversation_id:
            return call
        known = CallDocument.from_mongo(stored)
        told = {
            "summary": known.summary,
            "transcript": call.transcript or known.transcript,
            "agent_id": call.agent_id or known.agent_id,
        }
        return call.model_copy(update=told)


class RecordedVoice:
    """What was heard in voice notes."""

    def __init__(self) -> None:
        self.turn: TurnDocument | None = None

    async def words(self, message: MessageReceived) -> str | None:
        for one in self.turn.messages if self.turn else ():
            if one.get("whatsapp_message_id") == message.message_sid:
                return one.get("transcript")
        return None


class RecordedReads:
    """The sender's rows, as far as they were known at the moment. It had come to every fence."""

    def __init__(self, sends: Sequence[Seen], moment: Moment) -> None:
        self._sends = {one.id: one for one in sends}
        self._by_sid = {one.sid: one for one in sends}
        self._moment = moment

    async def sends(self, ids: Sequence[str]) -> dict[str, SendDocument]:
        found = (self._sends[one] for one in ids if one in self._sends)
        return {one.id: _row(one) for one in found if one.at <= self._moment.now()}

    async def send_with(self, sid: str) -> SendDocument | None:
        found = self._by_sid.get(sid)
        return _row(found) if found else None

    async def confirmed(self, contact: str) -> FenceDocument:
        return FenceDocument(id=contact, fence=NO_FENCE, rev="")


def _row(seen: Seen) -> SendDocument:
    """Only what is looked at."""
    row: SendDocument = SendDocument.model_construct(None, **seen.model_dump(exclude={"at"}))
    return row
