"""The pretended account: what every part of the simulator looks at."""

from dataclasses import dataclass, field
from datetime import datetime

from sandbox.twilio.clock import AdvanceableClock, Agenda
from sandbox.twilio.faults import Rules
from sandbox.twilio.feed import Feed
from sandbox.twilio.ledger import Ledger
from sandbox.twilio.people import People
from sandbox.twilio.profile import Profile
from sandbox.twilio.templates import Template
from sandbox.twilio.wire import Mint

KEPT_EVENTS = 10_000


@dataclass
class Account:
    profile: Profile
    clock: AdvanceableClock
    rules: Rules = field(default_factory=Rules)
    templates: dict[str, Template] = field(default_factory=dict)
    base_url: str = ""
    """Where media is served; known once the port is."""

    def __post_init__(self) -> None:
        self.feed = Feed(KEPT_EVENTS)
        self.agenda = Agenda(lambda: self.profile.speed)
        self.forget()

    def forget(self) -> None:
        """Start over: messages, people and sids. Templates, rules and profile stay."""
        self.mint = Mint(self.profile.seed)
        self.ledger = Ledger(self.profile.keep_messages, self.profile.keep_deliveries)
        self.people = People(self.profile.keep_contacts, self.profile.keep_bubbles, self.feed)

    def now(self) -> datetime:
        return self.clock.now()

    def owns(self, address: str) -> bool:
        return address.removeprefix("whatsapp:") in self.profile.numbers
