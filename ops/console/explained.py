"""The story of one bubble, as `hilo explain` tells it."""

from typing import Any

from kit.errors import StoreDown
from ops.console.desk import Desk
from ops.console.sessions import Session
from ops.explain import masking_of
from ops.explaining import told
from ops.story import find
from ops.trail import follow

__all__ = ["explained"]


async def explained(desk: Desk, session: Session, chat: str, name: str) -> dict[str, Any] | None:
    """None where nothing is stored of it, or it is another conversation's."""
    try:
        story = await find(desk.reads, name)
    except StoreDown:
        return None
    if story is None or (story.turn.conversation_after or {}).get("_id") not in {None, chat}:
        return None
    trail = await follow(desk.settings, story)
    reveal = desk.pages.reveals.open(session, story.turn.contact)
    shown: dict[str, Any] = masking_of(story, reveal=reveal)(told(story, trail))
    return shown
