"""`hilo replay`: what would today's code have said? And records copied for a test system, or put back after a fix."""

from pathlib import Path

import typer

from kit.settings import load
from ops.asking import BY
from ops.output import JSON, REVEAL, runs
from ops.replaying import modes
from ops.replaying.chosen import Wanted, wanted
from ops.replaying.modes import Showing
from ops.replaying.settings import ReplaySettings

__all__ = ["replay"]

WHICH, COPIES = "Which records", "Copies"
CONTACT = typer.Option(
    None, "--contact", help="Of one person: a number in any spelling, or a user id.", rich_help_panel=WHICH
)
TOPIC = typer.Option(None, "--topic", help="Of this topic; contact.log if not said.", rich_help_panel=WHICH)
FROM = typer.Option(
    None, "--from", help="Since when Kafka has them: 30m, 2h, 3d, or an ISO time.", rich_help_panel=WHICH
)
TO = typer.Option(None, "--to", help="Until when; now if not said.", rich_help_panel=WHICH)
OFFSETS = typer.Option(None, "--offsets", help="PARTITION:FIRST-LAST, as 3:120-180.", rich_help_panel=WHICH)
STEP = typer.Option(False, "--step", help="Stop at each turn that is shown: Enter goes on, q ends it.")
DIFFERING = typer.Option(False, "--differing", help="Show only what differs.")
CHECK = typer.Option(False, "--check", help="Exit code 1 if anything differs; without it a replay that ends is 0.")
AGENT = typer.Option(
    None, "--agent", help="Really ask this agent instead of the recorded answers. It is billed, and its tools run."
)
REPORT = typer.Option(None, "--report", help="With --agent: write the report here; JSON for .json, else Markdown.")
INTO = typer.Option(
    None,
    "--into",
    help="Copy the records for a test system: PREFIX, SERVERS, or PREFIX@SERVERS.",
    rich_help_panel=COPIES,
)
AGAIN = typer.Option(False, "--again", help="Put the records back on their topic, after a fix.", rich_help_panel=COPIES)
RATE = typer.Option(0.0, "--rate", min=0, max=10_000, help="Records a second; 0: no pause.", rich_help_panel=COPIES)
YES = typer.Option(False, "--yes", help="Do not ask.")


@runs
async def replay(
    contact: str | None = CONTACT,
    topic: str | None = TOPIC,
    begin: str | None = FROM,
    until: str | None = TO,
    offsets: str | None = OFFSETS,
    step: bool = STEP,
    only_differing: bool = DIFFERING,
    check: bool = CHECK,
    agent: str | None = AGENT,
    report: Path | None = REPORT,
    into: str | None = INTO,
    again: bool = AGAIN,
    rate: float = RATE,
    by: str = BY,
    yes: bool = YES,
    as_json: bool = JSON,
    reveal: bool = REVEAL,
) -> None:
    """What would today's code have said? Tell a story again, sealed: nothing can leave, nobody sees it.

    Records of contact.log go to a process without network, credentials or files, that runs the processor's code on a
    store in memory, with the agent's recorded answers. Each turn is then: same; changed, with a diff; new, would be
    decided now; missing, its record is gone or nothing would be decided; erased; unusable, then as now.
    """
    settings = load(ReplaySettings)
    what: Wanted = wanted(contact, topic, begin, until, offsets, settings.clock().now())
    showing = Showing(as_json=as_json, reveal=reveal, only_differing=only_differing, step=step)
    modes.require_one(into=into, again=again, agent=agent, report=report, step=step, check=check)
    if into is not None:
        await modes.into(settings, what, into, by=by, rate=rate, as_json=as_json)
    elif again:
        await modes.again(settings, what, by=by, rate=rate, yes=yes, as_json=as_json)
    elif agent is not None:
        await modes.asked(settings, what, showing, agent, report, yes=yes)
    else:
        await modes.sealed(settings, what, showing, check=check)
