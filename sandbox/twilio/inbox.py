"""A user writes to us: the message, its webhook, and what our answer causes."""

import asyncio
from dataclasses import dataclass, field

from sandbox.twilio.account import Account
from sandbox.twilio.answers import Answer
from sandbox.twilio.courier import Courier, Request
from sandbox.twilio.ledger import Media, Message
from sandbox.twilio.outbox import Outbox
from sandbox.twilio.people import Contact, canonical, prefixed
from sandbox.twilio.shapes import MEDIA, Spoken, channel_metadata, inbound_fields

_OPT_OUT = {
    "STOP": {"STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"},
    "START": {"START", "YES", "UNSTOP"},
    "HELP": {"HELP", "INFO"},
}
_OPT_OUT_ANSWERS = {
    "STOP": "You have successfully been unsubscribed. Reply START to resubscribe.",
    "START": "You have successfully been re-subscribed.",
    "HELP": "Reply STOP to unsubscribe.",
}


@dataclass(slots=True)
class Received:
    """One inbound message; `answer` is there when its webhook is over."""

    sid: str
    form: dict[str, str]
    over: asyncio.Future[Answer] = field(repr=False)

    @property
    def answer(self) -> Answer | None:
        return self.over.result() if self.over.done() and not self.over.cancelled() else None

    @property
    def accepted(self) -> bool:
        """False also while the webhook is under way."""
        return self.answer is not None and self.answer.accepted


class Inbox:
    def __init__(self, account: Account, courier: Courier, outbox: Outbox) -> None:
        self._account = account
        self._courier = courier
        self._outbox = outbox
        self._under_way: set[asyncio.Future[Answer]] = set()

    def forget(self) -> None:
        """Whoever waits for a webhook that was just cancelled shall not wait for ever."""
        for over in self._under_way:
            if not over.done():
                over.set_result(Answer(error="reset"))
        self._under_way.clear()

    def receive(
        self, address: str, spoken: Spoken, to: str | None = None, media: tuple[str, bytes] | None = None
    ) -> Received:
        """Send the webhook of what was just said. `address` may be any spelling; the form shows it as given."""
        account = self._account
        people = account.people
        sender = prefixed(to or account.profile.numbers[0])
        contact = people.at(address)
        # A second spelling of a phone is kept: that is what the spelling is for. A username hides the phone.
        shown = contact.address if contact.traits.hidden else prefixed(address)
        if not contact.traits.hidden and canonical(shown) != contact.key:
            shown = contact.key
        message = self._record(shown, sender, spoken, media)
        contact.windows[sender] = message.created
        opt_out = self._opt_out(contact, spoken.body)
        form = self._form(message, contact, spoken, opt_out)
        message.body = form.get("Body", "")
        self._show(contact, message, spoken)
        return self._post(message, form, opt_out)

    def _record(self, shown: str, sender: str, spoken: Spoken, media: tuple[str, bytes] | None) -> Message:
        account = self._account
        now = account.now()
        attached = media or MEDIA.get(spoken.kind)
        parts = (Media(account.mint.sid("ME"), *attached),) if attached else ()
        message = Message(
            n=next(account.ledger.serial),
            sid=account.mint.sid("MM" if parts else "SM"),
            direction="inbound",
            sender=sender,
            contact=shown,
            body=spoken.body,
            status="received",
            created=now,
            updated=now,
            appeared=account.clock.monotonic(),
            sent=now,
            media=parts,
            log=[("received", now)],
        )
        account.ledger.add(message)
        return message

    def _form(self, message: Message, contact: Contact, spoken: Spoken, opt_out: str | None) -> dict[str, str]:
        profile = self._account.profile
        special = inbound_fields(spoken, message.sender)
        wa_id = message.contact.removeprefix("whatsapp:+") if "+" in message.contact else None
        form = {
            "SmsMessageSid": message.sid,
            "NumMedia": special["NumMedia"],
            "ProfileName": contact.traits.profile_name,
            "MessageType": special["MessageType"],
            "SmsSid": message.sid,
            "SmsStatus": "received",
            "Body": special["Body"],
            "To": message.sender,
            "NumSegments": "1",
            "ReferralNumMedia": "0",
            "MessageSid": message.sid,
            "AccountSid": profile.account_sid,
            "ChannelMetadata": channel_metadata(special, contact.traits.profile_name, wa_id),
            "From": message.contact,
            "ExternalUserId": f"whatsapp:{contact.bsuid}",
            "ApiVersion": "2010-04-01",
        }
        if wa_id:
            form["WaId"] = wa_id
        if profile.messaging_service_sid:
            form["MessagingServiceSid"] = profile.messaging_service_sid
        if opt_out:
            form["OptOutType"] = opt_out
        base = f"{self._account.base_url}/2010-04-01/Accounts/{profile.account_sid}/Messages/{message.sid}/Media"
        if message.media:
            special["NumMedia"] = "1"
        for index, part in enumerate(message.media):
            form[f"MediaUrl{index}"] = f"{base}/{part.sid}"
            form[f"MediaContentType{index}"] = part.content_type
        form |= special
        form |= {name: value for name, value in spoken.fields.items() if value is not None}
        return {name: value for name, value in form.items() if spoken.fields.get(name, "") is not None}

    def _show(self, contact: Contact, message: Message, spoken: Spoken) -> None:
        contact.handset.show(
            self._account.now(),
            author="user",
            sid=message.sid,
            body=spoken.body or message.body,
            kind=spoken.kind,
            sender=message.sender,
            tick="delivered",
            reply_to=spoken.reply_to,
            media=tuple(part.content_type for part in message.media),
        )

    def _opt_out(self, contact: Contact, body: str) -> str | None:
        """Only an account with Advanced Opt-Out acts on the words; the user then hears from Twilio itself."""
        if not self._account.profile.advanced_opt_out:
            return None
        word = body.strip().upper()
        kind = next((kind for kind, words in _OPT_OUT.items() if word in words), None)
        if kind in {"STOP", "START"}:
            contact.traits = contact.traits.model_copy(update={"opted_out": kind == "STOP"})
        return kind

    def _post(self, message: Message, form: dict[str, str], opt_out: str | None) -> Received:
        account = self._account
        over: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        self._under_way.add(over)

        def done(answer: Answer) -> None:
            self._under_way.discard(over)
            self._tell(message, answer)
            if not over.done():
                over.set_result(answer)
            for text in answer.replies:
                self._outbox.reply(message.sender, message.contact, text, automatic=answer.automatic)

        if opt_out:
            self._outbox.reply(message.sender, message.contact, _OPT_OUT_ANSWERS[opt_out], automatic=False)
        url = account.profile.inbound_url
        if url is None:
            done(Answer(error="ct"))
        else:
            token = account.mint.token(message.sid)
            request = Request("inbound", message.sid, "received", message.contact, url, form, token, done=done)
            self._courier.send(request)
        return Received(message.sid, form, over)

    def _tell(self, message: Message, answer: Answer) -> None:
        """Whoever watches every handset also learns whether we took it: no phone shows that."""
        fate = {"sid": message.sid, "accepted": answer.accepted, "http": answer.http, "error": answer.error}
        about = {"address": canonical(message.contact), "at": self._account.now().isoformat()}
        self._account.feed.add({"event": "webhook", **about, **fate})
