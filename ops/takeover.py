"""`hilo takeover`, `hilo handback`, `hilo say`: people in a conversation, through the same log as everything else."""

import typer

from kit import ids
from kit.reads import Reads
from kit.settings import load
from ops.asking import BY, CONTACT, NO_WAIT, effect, open_reads, operator_id, publish
from ops.output import fail, runs
from ops.settings import OpsSettings
from schemas.contact import Contact, canonical, parse_address, redact
from schemas.documents import SendDocument
from schemas.events import HandedBack, OperatorSaid, TakenOver

__all__ = ["handback", "say", "takeover"]

TEXT = typer.Argument(help="What the client shall read.")
CHANNEL = typer.Option(None, "--channel", help="Our number to write from; needed where there is no conversation yet.")
NOT_DECIDED = "the processor has not decided it: is it running?"
SHOWN = {"accepted"}
UNSEEN = {"rejected", "withheld", "uncertain"}


@runs
async def takeover(contact: str = CONTACT, by: str = BY, no_wait: bool = NO_WAIT) -> None:
    """Silence the bot for a contact; ends when nothing of it can be shown any more."""
    settings, key, event_id = load(OpsSettings), canonical(parse_address(contact)), operator_id("takeover")
    turn = ids.turn_id(key, event_id)
    await publish(settings, key, TakenOver(by=by), event_id)
    if no_wait:
        return
    async with open_reads(settings) as reads:

        async def confirmed() -> bool:
            fence = await reads.confirmed(key)
            return fence is not None and turn in fence.told

        await effect(confirmed, f"taken over: {redact(key)}", "not confirmed: are processor and sender running?")


@runs
async def handback(contact: str = CONTACT, by: str = BY, no_wait: bool = NO_WAIT) -> None:
    """Let the bot speak again; it answers what the client wrote since a person last did."""
    settings, key, event_id = load(OpsSettings), canonical(parse_address(contact)), operator_id("handback")
    await publish(settings, key, HandedBack(by=by), event_id)
    if no_wait:
        return
    async with open_reads(settings) as reads:

        async def decided() -> bool:
            return await reads.finished(event_id) is not None

        await effect(decided, f"handed back: {redact(key)}", NOT_DECIDED)


@runs
async def say(
    contact: str = CONTACT,
    text: str = TEXT,
    by: str = BY,
    channel: str | None = CHANNEL,
    no_wait: bool = NO_WAIT,
) -> None:
    """Write to a client as a person. Without a conversation it opens one."""
    settings, key, event_id = load(OpsSettings), canonical(parse_address(contact)), operator_id("say")
    if not text.strip():
        fail("there is nothing to say")
    event = OperatorSaid(by=by, text=text, channel=str(parse_address(channel)) if channel else None)
    await publish(settings, key, event, event_id)
    if no_wait:
        return
    async with open_reads(settings) as reads:
        await effect(lambda: _said(reads, key, event_id), f"said to {redact(key)}", "Twilio has not taken it")


async def _said(reads: Reads, key: Contact, event_id: str) -> bool:
    turn = await reads.finished(event_id)
    if turn is None:
        return False
    if not turn.outbound:
        fail(f"not said: {redact(key)} has opted out")
    parts = [part["send_id"] for part in turn.outbound[-1].data["parts"]]
    sends = await reads.sends(parts)
    for send in sends.values():
        if send.state in UNSEEN:
            fail(f"not said: {_why(send)}")
    return len(sends) == len(parts) and all(one.state in SHOWN for one in sends.values())


def _why(send: SendDocument) -> str:
    reasons = {"window_closed": "the 24 hours after the client's last message are over, and there is no template"}
    reason = send.error_message or (f"Twilio error {send.error_code}" if send.error_code else send.state)
    return reasons.get(reason, reason)
