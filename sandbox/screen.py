"""What a person sees while the sandbox starts and runs."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status

from sandbox.layout import Layout

__all__ = ["Screen"]

COUNT = re.compile(r"(\d+) of (\d+)$")
PHONE = ("phone", "the client's phone: write, finish a call, break things")
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
        for name, what in (*([PHONE] if pages else []), *PLACES):
            self.say(f"  {layout.url(name):<28} {what}")
        self.say(f"  {layout.kafka_servers:<28} Kafka\n  {layout.mongodb_uri:<28} MongoDB\n  {layout.data}/logs")
        self.say(f"  API token {layout.api_token}\n\nCtrl-C stops everything.")
