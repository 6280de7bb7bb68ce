"""`hilo conversation` shows one, `hilo close` asks for its closing and waits until it happened."""

import sys
from typing import Any

from kit.reads import Reads
from kit.settings import load
from ops.asked import closing
from ops.asking import BY, CONTACT, NO_WAIT, carry_out, open_reads
from ops.masking import Masking
from ops.output import JSON, REVEAL, document, fail, runs, table
from ops.person import names
from ops.settings import OpsSettings
from schemas.contact import Contact, canonical, parse_address, redact
from schemas.documents import ConversationDocument

__all__ = ["close", "conversation"]

MOST = 100


@runs
async def conversation(contact: str = CONTACT, as_json: bool = JSON, reveal: bool = REVEAL) -> None:
    """State and last messages of the newest conversation with a contact."""
    key = canonical(parse_address(contact))
    async with open_reads(load(OpsSettings)) as reads:
        found, *_ = await _conversations(reads, key)
        messages = await reads.messages(found.id)
        sends = await reads.sends([one.id for one in messages if one.direction == "outbound"])
    shown = key if reveal else redact(key)
    rows: list[dict[str, Any]] = [
        {
            "at": one.timestamp.isoformat(timespec="seconds"),
            "who": "client" if one.direction == "inbound" else one.by or "bot",
            "text": one.content,
            "delivery": (sends[one.id].status or sends[one.id].state) if one.id in sends else "",
        }
        for one in messages
    ]
    rows = Masking(key, reveal=reveal)(rows)
    if as_json:
        hidden = {"lines", "rev", "open_key", "seq", "contact", "phone_number"}
        about = Masking(key, reveal=reveal)(found.model_dump(mode="json", exclude=hidden))
        document({"contact": shown, **about, "messages": rows})
        return
    print(f"{found.id}  {shown}  {found.status}  {found.source}  {found.message_count} messages")
    table(["at", "who", "text", "delivery"], rows)


@runs
async def close(contact: str = CONTACT, by: str = BY, no_wait: bool = NO_WAIT) -> None:
    """Close the newest open conversation with a contact, if nothing happens in it meanwhile."""
    settings = load(OpsSettings)
    key = canonical(parse_address(contact))
    async with open_reads(settings) as reads:
        found = await _conversations(reads, key)
    open_ones = [one for one in found if one.status != "closed"]
    if not open_ones:
        fail(f"the conversation with {redact(key)} is closed already")
    newest, *others = open_ones  # one on each of our numbers, and under each of their names
    await carry_out(settings, closing(newest, by), f"closed {newest.id}", no_wait=no_wait)
    for other in others:
        print(
            f"still open: {other.id}, on another of our numbers or under another name; ask again to close it",
            file=sys.stderr,
        )


async def _conversations(reads: Reads, contact: Contact) -> list[ConversationDocument]:
    """Newest first, at least one; under whatever names this person is stored."""
    each = [await reads.conversations(one, MOST) for one in await names(reads, contact)]
    found = sorted((one for some in each for one in some), key=lambda one: one.started_at, reverse=True)
    if not found:
        fail(f"no conversation with {redact(contact)}")
    return found
