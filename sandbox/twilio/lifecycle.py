"""The life of an outbound message: queue, window, sent, delivered, read; each step told by a callback."""

import asyncio
from collections import deque

from sandbox.twilio.account import Account
from sandbox.twilio.callbacks import status_form
from sandbox.twilio.courier import Courier, Request
from sandbox.twilio.fate import MEANINGS, Fate, draw, final_status, judge
from sandbox.twilio.ledger import Message
from sandbox.twilio.people import Contact
from sandbox.twilio.templates import Template

# Two loop timers due at the same moment have no order; neighbours in one chat keep this distance.
_APART_S = 0.003


class Lifecycle:
    def __init__(self, account: Account, courier: Courier) -> None:
        self._account = account
        self._courier = courier
        self._free_at: dict[str, float] = {}
        self._held: dict[str, deque[tuple[Message, Contact, Fate]]] = {}

    def forget(self) -> None:
        self._free_at.clear()
        self._held.clear()

    def backlog_s(self, sender: str) -> float:
        """How long a message given to this sender now would wait, in simulated seconds."""
        left = self._free_at.get(sender, 0) - asyncio.get_running_loop().time()
        return max(0, left) * self._account.profile.speed

    def begin(self, message: Message, contact: Contact, template: Template | None, early: int | None = None) -> None:
        """Queue it. `early` is an error known already that Twilio still tells asynchronously."""
        profile = self._account.profile
        fate = draw(profile, self._account.mint.dice())
        loop = asyncio.get_running_loop()
        wait = self.backlog_s(message.sender)
        self._free_at[message.sender] = max(loop.time(), self._free_at.get(message.sender, 0)) + 1 / (
            profile.mps * profile.speed
        )
        if message.service:
            self._account.agenda.later(wait or 0.001, lambda: self._advance(message, "queued", contact))
        # Never at once: the caller's 201 must say `queued`.
        self._account.agenda.later(max(wait, 0.0001), lambda: self._dequeue(message, contact, template, fate, early))

    def _dequeue(
        self, message: Message, contact: Contact, template: Template | None, fate: Fate, early: int | None
    ) -> None:
        account = self._account
        now = account.now()
        error = early or judge(account.profile, message.sender, contact, template, now) or fate.error
        if (now - message.created).total_seconds() > message.validity_s:
            error = 30001
        if error is None and account.profile.pair_limit and not self._spend_pair_credit(contact):
            error = 63018
        if error:
            account.agenda.later(fate.sent_s, lambda: self._fail(message, contact, error))
            return
        contact.sent_due, wait = self._in_order(contact.sent_due, fate.sent_s)
        account.agenda.later(wait, lambda: self._sent(message, contact, fate))

    def _in_order(self, after: float, seconds: float) -> tuple[float, float]:
        """When it is due in loop time, not before the message ahead; and the wait until then."""
        now, speed = asyncio.get_running_loop().time(), self._account.profile.speed
        due = max(now + seconds / speed, after + _APART_S)
        return due, (due - now) * speed

    def _sent(self, message: Message, contact: Contact, fate: Fate) -> None:
        message.sent = self._account.now()
        self._advance(message, "sent", contact)
        if contact.traits.blocked:
            return
        if contact.traits.offline or contact.key in self._held:
            self._held.setdefault(contact.key, deque()).append((message, contact, fate))
            return
        self._travel(message, contact, fate)

    def _travel(self, message: Message, contact: Contact, fate: Fate) -> None:
        now, profile = asyncio.get_running_loop().time(), self._account.profile
        ahead = contact.delivered_due - now
        near = 0 < ahead < profile.invert_within_ms / 1000 / profile.speed
        if fate.inverts and near:
            wait = 0.0
        else:
            contact.delivered_due, wait = self._in_order(contact.delivered_due, fate.delivered_s)
        self._account.agenda.later(wait, lambda: self._delivered(message, contact, fate))

    def come_online(self, contact: Contact) -> None:
        """What waited for the handset arrives, in order."""
        for message, person, fate in self._held.pop(contact.key, ()):
            self._travel(message, person, fate)

    def _delivered(self, message: Message, contact: Contact, fate: Fate) -> None:
        if contact.traits.offline:
            self._held.setdefault(contact.key, deque()).append((message, contact, fate))
            return
        template = self._account.templates.get(message.content_sid or "")
        contact.handset.show(
            self._account.now(),
            author="us",
            sid=message.sid,
            body=message.body,
            kind="template" if message.content_sid else "image" if message.media_urls else "text",
            sender=message.sender,
            tick="delivered",
            auto=message.direction == "outbound-reply" and message.fault == "text/plain",
            buttons=template.buttons if template else (),
            media=message.media_urls,
        )
        self._advance(message, "delivered", contact)
        if contact.traits.receipts and fate.reads:
            self._account.agenda.later(fate.read_s, lambda: self._read(message, contact))

    def _read(self, message: Message, contact: Contact) -> None:
        contact.handset.tick(self._account.now(), message.sid, "read")
        self._advance(message, "read", contact)

    def _fail(self, message: Message, contact: Contact, error: int) -> None:
        message.error = error
        message.error_text = MEANINGS.get(error, f"Error {error}")
        self._account.ledger.counts[f"error.{error}"] += 1
        self._advance(message, final_status(self._account.profile, error), contact)

    def _advance(self, message: Message, status: str, contact: Contact) -> None:
        account = self._account
        message.status = status
        message.updated = account.now()
        message.log.append((status, message.updated))
        account.ledger.counts[f"became.{status}"] += 1
        url = message.callback or account.profile.status_url
        if not url:
            return
        self._courier.send(
            Request(
                kind="status",
                sid=message.sid,
                status=status,
                contact=message.contact,
                url=url,
                form=status_form(account, message, status, contact.bsuid),
                token=account.mint.token(f"{message.sid} {status}"),
            )
        )

    def _spend_pair_credit(self, contact: Contact) -> bool:
        """Meta's bucket for one sender and one user: a burst, then one every few seconds."""
        profile = self._account.profile
        now = self._account.now().timestamp()
        full = float(profile.pair_burst)
        earned = (now - contact.pair_seen) * profile.speed / profile.pair_every_s
        contact.pair_credit = min(full, contact.pair_credit + earned) if contact.pair_credit is not None else full
        contact.pair_seen = now
        if contact.pair_credit < 1:
            return False
        contact.pair_credit -= 1
        return True
