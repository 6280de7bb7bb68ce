"""What a turn looks up before anybody is asked: what was really shown, what is replied to, what was said aloud."""

from collections.abc import Sequence

from kit.reads import Reads
from processor.conversation import State
from processor.hearing import Hearing
from processor.repository import Repository
from processor.talk import Look
from schemas.attributes import Envelope
from schemas.documents import ContactDocument, SendDocument
from schemas.events import MessageReceived

__all__ = ["Looking"]

NOT_SHOWN = {"withheld", "rejected"}
FAILED = {"failed", "undelivered"}


class Looking:
    def __init__(self, repository: Repository, reads: Reads, hearing: Hearing | None = None) -> None:
        self._repository = repository
        self._reads = reads
        self._hearing = hearing

    async def look(self, state: State) -> Look:
        """Raises StoreDown."""
        lines = state.conversation or state.former
        ours = [line.id for line in lines.lines if line.role != "client"] if lines else []
        sends = await self._reads.sends(ours) if ours else {}
        return Look(frozenset(name for name, send in sends.items() if _unseen(send)))

    async def fenced(self, contact: ContactDocument) -> bool:
        """Whether the sender has come to the contact's fence: before, what is below it may yet be shown or not."""
        if not contact.fence:
            return True
        row = await self._reads.confirmed(contact.id)
        return row is not None and row.fence >= contact.fence

    async def hear(self, look: Look, messages: Sequence[Envelope[MessageReceived]]) -> None:
        """Into `look`: the words of voice notes, and what is replied to. What cannot be had is left out."""
        for message in messages:
            sound = message.data.kind == "audio" and self._hearing is not None
            words = await self._hearing.words(message.data) if sound and self._hearing else None
            quoted = await self._quoted(message.data.reply_to) if message.data.reply_to else None
            if words:
                look.heard[message.id] = words
            if quoted:
                look.quoted[message.id] = quoted

    async def _quoted(self, sid: str) -> str | None:
        found = await self._repository.message(sid)
        if found is None and (send := await self._reads.send_with(sid)):
            found = await self._repository.message(send.id)
        return found.content if found else None


def _unseen(send: SendDocument) -> bool:
    return send.state in NOT_SHOWN or send.status in FAILED
