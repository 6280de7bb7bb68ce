"""Forgetting a person: what is left can recognise a replay of their records, and says nothing else. Pure."""

from kit import ids
from processor.conversation import State
from processor.drafts import Draft, Run
from schemas.documents import ContactDocument, EventDocument, TurnDocument
from schemas.events import EraseSends

__all__ = ["erased", "stripped", "tombstone"]


def erased(run: Run, state: State) -> Draft:
    """The sender raises its fence and strips its rows; the processor's own go once the turn is finished."""
    event = EraseSends(contact=run.contact, seq=state.seq)
    outbound = EventDocument(id=f"{run.turn_id}-erase", type=event.type_name(), data=event.model_dump(mode="json"))
    return Draft("erased", ContactDocument(id=run.contact, fence=state.seq), outbound=[outbound])


def stripped(turn: TurnDocument) -> TurnDocument:
    """Its id, places and events, under a hash: a replayed record is decided already."""
    name = ids.erased_id(turn.contact)
    return TurnDocument(
        id=turn.id,
        contact=name,
        seq=turn.seq,
        slot=f"{name}#{turn.seq}",
        events=turn.events,
        positions=turn.positions,
        kind=turn.kind,
        outcome="erased",
        contact_after={},
        decided_at=turn.decided_at,
        done=True,
        rev=f"{turn.id}#erased",
    )


def tombstone(contact: str, seq: int) -> ContactDocument:
    """Keeps the place in the story: whoever writes again after an erasure goes on above the fence."""
    name = ids.erased_id(contact)
    return ContactDocument(id=name, seq=seq, fence=seq, rev=f"{name}#{seq}")
