"""The topic table. `hilo topics` provisions and checks it; AsyncAPI is generated from it."""

from dataclasses import dataclass

from schemas import events, notices
from schemas.events import Event

__all__ = [
    "CALL_COMPLETED",
    "CONTACT_LOG",
    "DEAD_LETTERS",
    "MESSAGE_OUTBOUND",
    "MESSAGE_STATUS",
    "SYSTEM_NOTICES",
    "TOPICS",
    "Topic",
]

DAY_MS = 24 * 3600 * 1000
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Topic:
    name: str
    about: str
    events: tuple[type[Event], ...]
    """Empty: any bytes. The first one is assumed where a record has no `ce_type`."""
    key: str
    retention_days: int
    group: str | None
    """The consumer group of ours, if any."""
    partitions: int = 24
    """Final: another count would move keys to other partitions, and order would be lost."""
    max_bytes: int = MIB

    @property
    def config(self) -> dict[str, str]:
        """The broker's topic settings that are ours to decide."""
        return {
            "retention.ms": str(self.retention_days * DAY_MS),
            "max.message.bytes": str(self.max_bytes + 64 * 1024),  # the record's own framing on top
            "cleanup.policy": "delete",
        }


CALL_COMPLETED = Topic(
    name="call.completed",
    about="A phone call has ended. Published by the main backend; any key, any partitioner, headers optional.",
    events=(events.CallCompleted,),
    key="phone number, any spelling",
    retention_days=7,
    group="processor-relay",
)
CONTACT_LOG = Topic(
    name="contact.log",
    about="Everything that can change a conversation, in order per contact: the story of a contact.",
    events=(
        events.MessageReceived,
        events.CallCompleted,
        events.CallFacts,
        events.CloseRequested,
        events.TakenOver,
        events.HandedBack,
        events.OperatorSaid,
        events.EraseRequested,
        events.AddressRefused,
    ),
    key="contact",
    retention_days=30,
    group="processor",
)
MESSAGE_OUTBOUND = Topic(
    name="message.outbound",
    about="What the sender shall show, and fences below which nothing may be posted any more.",
    events=(events.SendRequested, events.FenceRaised, events.SendAgain, events.EraseSends),
    key="contact",
    retention_days=7,
    group="sender",
)
MESSAGE_STATUS = Topic(
    name="message.status",
    about="Twilio's status callbacks, as they came: unordered and repeated.",
    events=(events.StatusChanged,),
    key="contact",
    retention_days=7,
    group="sender-status",
)
SYSTEM_NOTICES = Topic(
    name="system.notices",
    about="Facts for the main backend.",
    events=tuple(getattr(notices, name) for name in notices.__all__ if name != "Notice"),
    key="contact",
    retention_days=30,
    group=None,
)
DEAD_LETTERS = Topic(
    name="dead.letters",
    about="Records that could not be used: original key, bytes and headers, with where they came from and why. "
    "A record with the header hilo_mark is none: it says what was done with the letter that hilo_mark_letter names.",
    events=(),
    key="original key",
    retention_days=30,
    group=None,
    max_bytes=2 * MIB,
)

TOPICS = (CALL_COMPLETED, CONTACT_LOG, MESSAGE_OUTBOUND, MESSAGE_STATUS, SYSTEM_NOTICES, DEAD_LETTERS)
