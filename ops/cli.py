"""`hilo`, the one command. What runs a service is imported when it runs: `--help` stays fast."""

import logging
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points

import typer

from ops import config, conversation, deadletters, doctor, erase, explain, export, replay, stats, takeover, topics

__all__ = ["app", "main"]

ABOUT = {
    "ingress": "Run the ingress: Twilio's webhooks and the API.",
    "processor": "Run the processor: turns, and the relay of finished calls.",
    "sender": "Run the sender: messages to Twilio, and their status callbacks.",
    "janitor": "Run the janitor: asks for idle conversations to be closed.",
}

app = typer.Typer(
    help="Hilo goes on with a phone conversation on WhatsApp.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _service(entry: EntryPoint) -> Callable[[], None]:
    def run() -> None:
        raise typer.Exit(entry.load()())

    return run


for _entry in entry_points(group="hilo.services"):
    app.command(_entry.name, help=ABOUT.get(_entry.name), rich_help_panel="Services")(_service(_entry))
for _entry in entry_points(group="hilo.commands"):
    try:
        app.command(_entry.name, rich_help_panel="Sandbox")(_entry.load())
    except ImportError:
        continue  # a production image has no sandbox: its commands are not listed there

app.add_typer(topics.app, name="topics", rich_help_panel="Operators")
app.add_typer(deadletters.app, name="deadletters", rich_help_panel="Operators")
app.command(rich_help_panel="Operators")(doctor.doctor)
app.command(rich_help_panel="Operators")(config.config)
app.command(rich_help_panel="Operators")(stats.stats)
app.command(rich_help_panel="Operators")(explain.explain)
app.command(rich_help_panel="Operators")(replay.replay)
app.command(rich_help_panel="Operators")(conversation.conversation)
app.command(rich_help_panel="Operators")(conversation.close)
app.command(rich_help_panel="Operators")(takeover.takeover)
app.command(rich_help_panel="Operators")(takeover.handback)
app.command(rich_help_panel="Operators")(takeover.say)
app.command(rich_help_panel="Operators")(export.export)
app.command(rich_help_panel="Operators")(erase.erase)


def main() -> None:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # our own sentence says it better
    app()
