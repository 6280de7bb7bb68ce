"""`hilo takeover`, `hilo handback`, `hilo say`: people in a conversation, through the same log as everything else."""

import typer

from kit.settings import load
from ops import asked
from ops.asking import BY, CONTACT, NO_WAIT, carry_out
from ops.output import fail, runs
from ops.settings import OpsSettings
from schemas.contact import canonical, parse_address, redact

__all__ = ["handback", "say", "takeover"]

TEXT = typer.Argument(help="What the client shall read.")
CHANNEL = typer.Option(None, "--channel", help="Our number to write from; else the last one used, or the first.")


@runs
async def takeover(contact: str = CONTACT, by: str = BY, no_wait: bool = NO_WAIT) -> None:
    """Silence the bot for a contact; ends when nothing of it can be posted any more."""
    settings, key = load(OpsSettings), canonical(parse_address(contact))
    await carry_out(settings, asked.take_over(key, by), f"taken over: {redact(key)}", no_wait=no_wait)


@runs
async def handback(contact: str = CONTACT, by: str = BY, no_wait: bool = NO_WAIT) -> None:
    """Let the bot speak again; it answers what the client wrote since a person last did."""
    settings, key = load(OpsSettings), canonical(parse_address(contact))
    await carry_out(settings, asked.hand_back(key, by), f"handed back: {redact(key)}", no_wait=no_wait)


@runs
async def say(
    contact: str = CONTACT,
    text: str = TEXT,
    by: str = BY,
    channel: str | None = CHANNEL,
    no_wait: bool = NO_WAIT,
) -> None:
    """Write to a client as a person. Without a conversation it opens one."""
    settings, key = load(OpsSettings), canonical(parse_address(contact))
    if not text.strip():
        fail("there is nothing to say")
    wanted = asked.say(key, text, by, str(parse_address(channel)) if channel else None)
    await carry_out(settings, wanted, f"said to {redact(key)}", no_wait=no_wait)
