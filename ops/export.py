"""`hilo export`: all that is stored of a person, in one document, and the files they sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from kit.settings import TwilioSettings, load
from ops.asking import CONTACT, open_reads
from ops.enclosing import Files, enclosed, require_folder
from ops.masking import Masking
from ops.output import REVEAL, document, fail, runs
from ops.person import Person, names, person
from ops.settings import OpsSettings
from schemas.contact import canonical, parse_address, redact
from schemas.documents import Document

__all__ = ["export", "exported"]

MEDIA = typer.Option(
    None,
    "--media",
    metavar="DIR",
    help="Also fetch what they sent from Twilio into this folder: pictures, sounds, files.",
)

OURS = {"rev", "slot", "open_key", "lease_until", "due", "undone", "trace", "body_hash"}
"""How we keep them, not what we know of a person."""
IN_OTHERS = {"contact_after", "conversation_after", "messages", "call"}
"""Of a turn: copies of what stands elsewhere in the document."""


@runs
async def export(contact: str = CONTACT, media: Path | None = MEDIA, reveal: bool = REVEAL) -> None:
    """Write one JSON document: contact, conversations, messages, calls, decisions, sends. For the person: --reveal."""
    asked = canonical(parse_address(contact))
    folder = require_folder(media) if media else None
    async with open_reads(load(OpsSettings)) as reads:
        found = [one for name in await names(reads, asked) if (one := await person(reads, name))]
    if not found:
        fail(f"nothing is stored of {redact(asked)}")
    files = await enclosed(found, folder, load(TwilioSettings)) if folder else {}
    known = {name for one in found for name in _names(one)}
    document(Masking(asked, *known, reveal=reveal)({"people": [exported(one, files) for one in found]}))


def exported(found: Person, files: Mapping[str, Files] | None = None) -> dict[str, Any]:
    """Media stand as references, for their bytes are at Twilio; those in `files` also with what became of them."""
    return {
        "contact": _plain(found.contact),
        "conversations": [_plain(one) for one in found.conversations],
        "messages": [_with_files(_plain(one), (files or {}).get(one.id, ())) for one in found.messages],
        "calls": [_plain(one) for one in found.calls],
        "turns": [_plain(one, IN_OTHERS) for one in found.turns],
        "sends": [_plain(one) for one in found.sends],
    }


def _with_files(message: dict[str, Any], files: Files) -> dict[str, Any]:
    if files:
        message["media"] = [medium | file for medium, file in zip(message["media"], files, strict=True)]
    return message


def _plain(one: Document, more: set[str] | None = None) -> dict[str, Any]:
    return one.model_dump(mode="json", exclude=OURS | (more or set()), exclude_none=True)


def _names(found: Person) -> list[str]:
    contact = found.contact
    return [one for one in (contact.id, contact.address, contact.user_id, *contact.addresses) if one]
