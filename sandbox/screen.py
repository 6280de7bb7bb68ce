"""What a person sees while the sandbox starts and runs."""

import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from sandbox.layout import Layout

__all__ = ["Screen"]

COUNT = re.compile(r"(\d+) of (\d+)$")
PAGES = (
    ("phone", "the client's phone: write, finish a call, break things"),
    ("console", "the operators' inbox: log in with the console token"),
)
PLACES = (
    ("ingress", "webhooks and API: /docs"),
    ("twilio_control", "Twilio, simulated: /_sim/docs"),
    ("elevenlabs", "ElevenLabs, simulated: /__sim/docs"),
    ("backend", "the main backend, pretended: /docs"),
)


class Screen:
    """Lines that stay, and one that changes while something is under way."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False) -> None:
        self.console = Console(stderr=stderr, quiet=quiet, highlight=False)
        self._status: Status | None = None

    def say(self, line: str) -> None:
        self.console.print(line, soft_wrap=True)

    def progress(self, line: str) -> None:
        """On a terminal the line that changes; elsewhere only the last of a count is worth a line."""
        if self._status and self.console.is_terminal:
            self._status.update(line)
            return
        count = COUNT.search(line)
        if count is None or count[1] == count[2]:
            self.say(line)

    @contextmanager
    def starting(self) -> Iterator[None]:
        with self.console.status("Starting…") as self._status:
            yield
        self._status = None

    def welcome(self, layout: Layout, *, pages: bool = True) -> None:
        self.say("\n[bold]The sandbox is ready.[/bold] In another shell: [bold]make demo[/bold]\n")
        for name, what in (*(PAGES if pages else ()), *PLACES):
            self.say(f"  {layout.url(name):<28} {what}")
        self.say(
            f"  {layout.kafka_servers:<28} Kafka\n  {layout.mongodb_uri:<28} MongoDB\n  {escape(layout.data)}/logs"
        )
        if pages:
            self.say(f"  console token {layout.console_token}")
        self.say(f"  API token {layout.api_token}")
        told = escape(f". {shlex.quote(str(layout.env_file))}")
        self.say(f"\nFor hilo in another shell, paste this there: [bold]{told}[/bold]\nCtrl-C stops everything.")
