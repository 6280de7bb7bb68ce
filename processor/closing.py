"""Closing a conversation, on the janitor's or an operator's word. Pure."""

from processor import conversation as rules
from processor.conversation import State
from processor.drafts import Draft, Run, noticed
from schemas.documents import ConversationDocument
from schemas.events import CloseRequested
from schemas.notices import ConversationClosed

__all__ = ["closed"]


def closed(run: Run, state: State, found: ConversationDocument | None, request: CloseRequested) -> Draft:
    """Only if nothing happened since somebody looked; a conversation is closed once, and only by its own contact's log.

    A take-over outlives it: the bot stays silent for the contact until it is handed back.
    """
    if found is None or found.contact != run.contact:
        return Draft("ignored", state.contact)
    idle = found.last_message_at <= request.last_message_at
    if not idle or rules.next_status(found.status, "close") is None:
        return Draft("ignored", state.contact)
    notice = ConversationClosed(
        contact=run.contact, at=run.now, conversation_id=found.id, message_count=found.message_count, by=request.by
    )
    return noticed(run, Draft("closed", state.contact, rules.close(found, run.now)), notice)
