"""The simulator as one object: in a test, in the sandbox process, or behind the command line."""

import asyncio
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sandbox.twilio.account import Account
from sandbox.twilio.clock import AdvanceableClock
from sandbox.twilio.control import control_app
from sandbox.twilio.courier import Courier
from sandbox.twilio.faults import Fault, RestEffect, Rule, WebhookEffect
from sandbox.twilio.handset import Handset
from sandbox.twilio.inbox import Inbox, Received
from sandbox.twilio.ledger import Delivery, Message, Post
from sandbox.twilio.lifecycle import Lifecycle
from sandbox.twilio.listener import Listener
from sandbox.twilio.outbox import Outbox
from sandbox.twilio.people import Contact, prefixed
from sandbox.twilio.profile import Profile
from sandbox.twilio.resources import Resources
from sandbox.twilio.rest import RestApi
from sandbox.twilio.shapes import Kind, Spoken
from sandbox.twilio.templates import Template


class TwilioSimulator:
    """Twilio's REST API on one port, the strings behind the scene on another.

    Everything runs in the loop that entered the context; port 0 takes a free one.
    """

    def __init__(
        self,
        profile: Profile | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        control_port: int = 0,
        clock_file: Path | None = None,
    ) -> None:
        self.account = Account(profile or Profile(), AdvanceableClock(clock_file))
        self._courier = Courier(self.account)
        self._lifecycle = Lifecycle(self.account, self._courier)
        outbox = Outbox(self.account, self._lifecycle)
        self._inbox = Inbox(self.account, self._courier, outbox)
        self._rest = RestApi(self.account, Resources(self.account, outbox), self._courier)
        self._listener = Listener(self._rest, host, port)
        self._control = Listener(control_app(self), host, control_port)

    async def __aenter__(self) -> Self:
        await self._listener.start()
        await self._control.start()
        self.account.base_url = self.profile.public_url or self.url
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rest.release()
        await self.account.agenda.clear()
        self._inbox.forget()
        self._courier.forget()
        self.account.people.wake()
        self.account.feed.wake()
        await asyncio.gather(self._listener.stop(), self._control.stop())
        self._courier.close()

    @property
    def url(self) -> str:
        """For `TWILIO_BASE_URL` and `client.api.base_url`."""
        return self._listener.url

    @property
    def control_url(self) -> str:
        return self._control.url

    @property
    def profile(self) -> Profile:
        return self.account.profile

    @property
    def messages(self) -> list[Message]:
        """Oldest first; the last `keep_messages` of them."""
        return list(self.account.ledger.messages.values())

    @property
    def posts(self) -> deque[Post]:
        """Every attempt to create a message, with what the caller saw of it."""
        return self.account.ledger.posts

    @property
    def deliveries(self) -> deque[Delivery]:
        """Every attempt of every webhook request."""
        return self.account.ledger.deliveries

    @property
    def debugger(self) -> deque[dict[str, Any]]:
        return self.account.ledger.debugger

    def handset(self, address: str) -> Handset:
        return self.account.people.at(address).handset

    def say(
        self,
        from_: str,
        body: str = "",
        kind: Kind = "text",
        *,
        to: str | None = None,
        button_payload: str | None = None,
        reply_to: str | None = None,
        media: tuple[str, bytes] | None = None,
        **fields: str | None,
    ) -> Received:
        """A user does something; returns at once, the webhook is under way.

        `fields` go into the form as they are (`X_New="1"`), or out of it (`WaId=None`).
        `media` is (content type, bytes) and replaces the sample of this kind.
        """
        spoken = Spoken(kind, body, button_payload, reply_to, fields)
        return self._inbox.receive(from_, spoken, to, media)

    async def inbound(self, from_: str, body: str = "", kind: Kind = "text", **more: Any) -> Received:
        """`say`, then wait until the webhook was answered or given up."""
        received = self.say(from_, body, kind, **more)
        await asyncio.wait([received.over])
        return received

    async def burst(
        self, count: int, within_ms: float = 0, contacts: int = 1, body: str = "burst {n}", first: str = "+34600000000"
    ) -> list[Received]:
        """Concurrent inbound messages, spread over real time, from `contacts` people in turn. Waits for all."""
        country, start = first[:-9], int(first[-9:])
        people = [f"{country}{start + index:09d}" for index in range(contacts)]
        sent: list[Received] = []
        loop = asyncio.get_running_loop()
        began = loop.time()
        for n in range(count):
            ahead = began + n * within_ms / 1000 / count - loop.time()
            if ahead > 0:
                await asyncio.sleep(ahead)
            sent.append(self.say(people[n % contacts], body.format(n=n)))
        await asyncio.gather(*(received.over for received in sent))
        return sent

    def fault(self, effect: RestEffect | WebhookEffect, **rule: Any) -> Rule | None:
        """Add a rule (see `Fault`). `refuse` and `outage` begin at once and are no rules."""
        fault = Fault(effect=effect, **rule)
        if effect == "refuse":
            self.account.agenda.track(asyncio.create_task(self._refuse(fault.seconds)))
        elif effect == "outage":
            self._courier.suffer_outage(fault.seconds)
        else:
            return self.account.rules.add(fault)
        return None

    async def _refuse(self, seconds: float) -> None:
        await self._listener.stop()
        try:
            await asyncio.sleep(seconds / self.profile.speed)
        finally:
            await self._listener.start()

    def contact(self, address: str, **traits: object) -> Contact:
        """Change what is true of a person (see `Traits`); going online delivers what waited."""
        contact = self.account.people.change(address, **traits)
        if not contact.traits.offline:
            self._lifecycle.come_online(contact)
        return contact

    def template(self, sid: str, body: str, **more: Any) -> Template:
        template = Template(sid=sid, body=body, **more)
        self.account.templates[sid] = template
        return template

    def configure(self, **changes: Any) -> Profile:
        """Change the profile; sizes of ledgers and the seed count from the next `reset`."""
        self.account.profile = Profile.model_validate({**self.profile.model_dump(), **changes})
        self.account.base_url = self.profile.public_url or self.url
        return self.profile

    def advance(self, seconds: float) -> None:
        """Make it later for windows, validity and every process that reads the clock file."""
        self.account.clock.advance(seconds)

    def close_window(self, address: str, sender: str | None = None) -> None:
        """As if the user had not written for a day, without moving the clock."""
        windows = self.account.people.at(address).windows
        windows.pop(prefixed(sender), None) if sender else windows.clear()

    def open_window(self, address: str, sender: str | None = None) -> None:
        """As if the user had just written, without a webhook."""
        ours = prefixed(sender or self.profile.numbers[0])
        self.account.people.at(address).windows[ours] = self.account.now()

    async def idle(self) -> None:
        """Wait until no callback, retry or transition is due any more."""
        await self.account.agenda.settle()

    async def reset(self) -> None:
        """Forget messages, people, rules and what was under way. Profile, templates and clock stay."""
        self._rest.release()
        await self.account.agenda.clear()
        self._inbox.forget()
        self._courier.forget()
        self._lifecycle.forget()
        self.account.people.wake()
        self.account.rules.clear()
        self.account.forget()
        self.account.feed.add({"event": "forgotten", "at": self.account.now().isoformat()})

    def stats(self) -> dict[str, Any]:
        return {**self.account.ledger.stats(), "pending": self.account.agenda.pending}
