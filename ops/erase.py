"""`hilo erase`: forget a person, through the log, and say what is gone and what ages out."""

from typing import Any

import typer

from kit.reads import Reads
from kit.settings import load
from ops.asked import operator_id
from ops.asking import BY, CONTACT, EFFECT_S, NO_WAIT, open_reads, publish, waited
from ops.forgetting import pending, receipt
from ops.masking import Masking
from ops.output import JSON, REVEAL, confirm, document, fail, runs, table
from ops.person import names, person
from ops.settings import OpsSettings
from schemas.contact import Contact, canonical, parse_address, redact
from schemas.events import EraseRequested

__all__ = ["erase"]

YES = typer.Option(False, "--yes", help="Do not ask.")


@runs
async def erase(
    contact: str = CONTACT,
    by: str = BY,
    yes: bool = YES,
    no_wait: bool = NO_WAIT,
    as_json: bool = JSON,
    reveal: bool = REVEAL,
) -> None:
    """Forget a person in every store; prints a receipt. Nothing brings them back."""
    settings, asked = load(OpsSettings), canonical(parse_address(contact))
    async with open_reads(settings) as reads:
        known = await names(reads, asked)
        if not (await reads.contact(known[0]) or await reads.sends_of(known[0])):
            fail(f"nothing is stored of {redact(asked)}")
        if not yes:
            confirm(f"Erase everything of {redact(asked)}? Nothing brings it back.")
        told = [
            await _forget(settings, reads, Contact(name), by, no_wait=no_wait)
            for name in known[: 1 if no_wait else None]
        ]
    if no_wait:
        return
    shown = Masking(asked, *known, reveal=reveal)(told)
    if as_json:
        document({"receipts": shown})
    else:
        for one in shown:
            _print(one)


async def _forget(settings: OpsSettings, reads: Reads, name: Contact, by: str, *, no_wait: bool) -> dict[str, Any]:
    """One name at a time: while a link to another stands, records of the one go to the other."""
    before, event_id = await person(reads, name), operator_id("erase")
    await publish(settings, name, EraseRequested(by=by), event_id)
    if not no_wait and (waits := await waited(lambda: pending(reads, name, event_id))):
        fail(f"{redact(name)} is not erased: {waits} (after {EFFECT_S} s; {event_id} is in the log and goes on)", 3)
    return receipt(name, before, event_id, settings.clock().now())


def _print(one: dict[str, Any]) -> None:
    print(f"erased {one['contact']} at {one['erased_at']} ({one['event']})")
    deleted = ", ".join(f"{count} {what}" for what, count in one["deleted"].items())
    stripped = ", ".join(f"{count} {what}" for what, count in one["stripped"].items())
    print(f"deleted: {deleted}\nstripped: {stripped}; they stand under {one['kept_as']}\n  {one['kept']}")
    print("\nrecords age out of Kafka by")
    table(["topic", "retention_days", "gone_by"], one["topics"])
    print(f"  {one['note']}\n")
    for line in one["elsewhere"]:
        print(f"not ours to erase: {line}")
