"""The files a person sent, fetched from Twilio beside their export: we keep references only."""

import mimetypes
from collections.abc import Sequence
from pathlib import Path

from kit.media import MediaRefused, TwilioMedia
from kit.settings import TwilioSettings
from ops.output import fail
from ops.person import Person
from ops.progress import Progress
from schemas.documents import MessageDocument

__all__ = ["Files", "enclosed", "require_folder"]

Files = Sequence[dict[str, str]]
"""Of one message, in the order of its media: `{"file": NAME}`, or `{"missing": WHY}`."""


def require_folder(path: Path) -> Path:
    """Made where it is not there. Ends the command where it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        fail(f"--media {path}: {error.strerror}")
    return path


async def enclosed(people: Sequence[Person], folder: Path, settings: TwilioSettings) -> dict[str, Files]:
    """By message. What cannot be had is said in its place; the rest is still written."""
    wanted = [one for person in people for one in person.messages if one.media and one.direction == "inbound"]
    media, progress = TwilioMedia(settings), Progress("fetched", "messages with files")
    found: dict[str, Files] = {}
    try:
        for one in wanted:
            found[one.id] = await _files(one, folder, media)
            progress(len(found), len(wanted))
    finally:
        progress.end()
        await media.stop()
    return found


async def _files(message: MessageDocument, folder: Path, twilio: TwilioMedia) -> Files:
    files: list[dict[str, str]] = []
    for number, medium in enumerate(message.media, 1):
        try:
            fetched = await twilio.fetch(medium.url, message.whatsapp_message_id or "")
        except MediaRefused as why:
            files.append({"missing": str(why)})
            continue
        name = f"{message.id}-{number}{mimetypes.guess_extension(medium.content_type) or '.bin'}"
        (folder / name).write_bytes(fetched.content)  # a command writes one file after the other
        files.append({"file": name})
    return files
