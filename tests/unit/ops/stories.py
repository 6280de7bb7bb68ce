"""A life of one contact, as processor and sender leave it in the stores."""

from typing import Any

from kit.ids import fence_id
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.reads import Reads
from kit.service import Tools
from processor.agent.client import Answer, Question
from processor.repository import Repository
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import Attempt, FenceDocument, SendDocument
from schemas.events import Event, SendRequested
from tests.contracts.runs import run_of
from tests.unit.processor.states import ADDRESS, CHANNEL, CONTACT, NOW
from tests.unit.processor.turning import handler

__all__ = ["SID", "World", "sid"]


def sid(number: int) -> str:
    return f"SM{number:032x}"


SID = sid(1)


class World:
    """`handle` decides; `posted` writes the sender's row of a part, as it is after what is given."""

    def __init__(self, database: Any, tools: Tools) -> None:
        self.database = database
        self.reads = Reads(database)
        self.out: list[tuple[str, Envelope[Event]]] = []
        self._turns = handler(Repository(database), self, self, tools)
        self._offset = 0

    async def ask(self, question: Question) -> Answer:
        return Answer([f"re: {question.text}"], conversation_id="conv_agent", attempts=2, seconds=1.5)

    def drop(self, conversation: str) -> None:
        """It has nothing to forget."""

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        self.out.append((topic, envelope))

    async def handle(self, *events: tuple[str, Event], contact: Contact = CONTACT) -> None:
        deliveries = []
        for name, event in events:
            self._offset += 1
            envelope = Envelope(name, "hilo/test", NOW, contact, event)
            deliveries.append(Delivery(envelope, Position("contact.log", 0, self._offset)))
        await self._turns.handle(run_of(*deliveries))

    @property
    def requests(self) -> list[SendRequested]:
        return [one.data for _, one in self.out if isinstance(one.data, SendRequested)]

    async def posted(self, name: str, **fields: Any) -> SendDocument:
        turn, _, _ = name.rpartition("-")
        known: dict[str, Any] = {
            "id": name, "contact": CONTACT, "turn": turn, "seq": 1, "conversation_id": "conv_1", "purpose": "reply",
            "to": ADDRESS, "channel": CHANNEL, "body_hash": "", "state": "accepted", "created_at": NOW,
            "updated_at": NOW, "rev": f"{name}#1",
        }  # fmt: skip
        if "sid" in fields:
            known["attempts"] = [Attempt(number=1, at=NOW, outcome="ACCEPTED", sid=fields["sid"])]
        send = SendDocument(**{**known, **fields})
        await self.database.sends.insert_one(send.to_mongo())
        return send

    async def fenced(self, seq: int) -> None:
        fence = FenceDocument(id=fence_id(CONTACT), fence=seq, rev="fence#1")
        await self.database.sends.insert_one(fence.to_mongo())
