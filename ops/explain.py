"""`hilo explain`: why a message was answered as it was, or not at all."""

import time

import typer

from kit.errors import HiloError
from kit.settings import load
from ops.asking import open_reads
from ops.explaining import told
from ops.masking import Masking
from ops.output import JSON, REVEAL, document, runs, show
from ops.settings import OpsSettings
from ops.story import Story, find
from ops.trail import follow
from ops.tree import tree

__all__ = ["explain"]

ID = typer.Argument(metavar="ID", help="A message, event, turn, part or send id, or a Twilio SID, inbound or outbound.")


class Unknown(HiloError):
    """Nothing stored has this id."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"{name!r}: no turn, event or send has this id; a record that waits or was buried has none yet "
            "(`hilo stats`, `hilo deadletters list`)"
        )


@runs
async def explain(name: str = ID, as_json: bool = JSON, reveal: bool = REVEAL) -> None:
    """Show the whole story of an ID: record, turn, sends, statuses, with times and causes."""
    settings, began = load(OpsSettings), time.monotonic()
    async with open_reads(settings) as reads:
        story = await find(reads, name)
    if story is None:
        raise Unknown(name)
    stored_s = time.monotonic() - began
    trail = await follow(settings, story)
    took = {"stores_ms": round(stored_s * 1000), "log_ms": round((time.monotonic() - began - stored_s) * 1000)}
    shown = masking_of(story, reveal=reveal)({**told(story, trail), "took": took})
    if as_json:
        document(shown)
    else:
        show(tree(shown))


def masking_of(story: Story, *, reveal: bool) -> Masking:
    after = story.turn.contact_after
    hashed = story.turn.contact.startswith("erased_")
    names = [
        "" if hashed else story.turn.contact,
        after.get("address"),
        after.get("user_id"),
        *after.get("addresses", ()),
    ]
    return Masking(*(one for one in names if one), reveal=reveal)
