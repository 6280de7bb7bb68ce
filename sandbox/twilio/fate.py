"""What will become of a send: drawn once when it is accepted, judged when its turn comes. Pure."""

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.twilio.people import Contact, Traits
from sandbox.twilio.profile import Delay, Profile
from sandbox.twilio.templates import Template

MEANINGS = {
    21610: "Attempt to send to unsubscribed recipient",
    30001: "Queue overflow",
    63003: "Channel could not find To address",
    63012: "Channel provider returned an internal service error",
    63013: "This message send failed because it violates the channel provider's policy",
    63016: "Failed to send freeform message because you are outside the allowed window",
    63018: "Rate limit exceeded for channel",
    63021: "Channel invalid content error",
    63024: "Invalid message recipient",
    63028: "Number of parameters provided does not match the expected number of parameters",
    63032: "User's number is part of an experiment",
    63040: "Template is rejected",
    63041: "Template is paused",
    63042: "Template is disabled",
    63049: "Meta chose not to deliver this marketing message",
    63051: "The sender or its business account is locked",
    14107: "SMS send rate limit exceeded",
}
# 63032 and 63049 are Meta's refusals of a message it already had.
_UNDELIVERED = {63024, 63032, 63049}


@dataclass(frozen=True, slots=True)
class Fate:
    sent_s: float
    delivered_s: float
    read_s: float
    reads: bool
    inverts: bool
    error: int | None


def draw(profile: Profile, dice: random.Random) -> Fate:
    # The order of the draws is part of "same seed, same trace".
    sent, delivered, read = (pick(delay, dice) for delay in (profile.sent, profile.delivered, profile.read))
    reads = dice.random() < profile.read_probability
    inverts = profile.invert_probability > 0 and dice.random() < profile.invert_probability
    error = next((code for code, p in profile.async_errors.items() if dice.random() < p), None)
    return Fate(sent, delivered, read, reads, inverts, error)


def pick(delay: Delay, dice: random.Random) -> float:
    """Seconds."""
    return delay.median_ms / 1000 * dice.lognormvariate(0, delay.sigma)


def judge(profile: Profile, sender: str, contact: Contact, template: Template | None, now: datetime) -> int | None:
    """The error a send meets at the head of the queue; None when it goes out."""
    if sender.removeprefix("whatsapp:") in profile.locked_numbers:
        return 63051
    opened = contact.windows.get(sender)
    is_open = opened is not None and now - opened < timedelta(hours=profile.window_hours)
    if not is_open and not (template and (template.starts or template.status in {"rejected", "paused", "disabled"})):
        return 63016
    return _refusal(contact.traits, template)


def _refusal(traits: Traits, template: Template | None) -> int | None:
    refusals = {
        63003: traits.not_whatsapp,
        63024: traits.invalid,
        63032: traits.experiment,
        63049: traits.marketing_cap and template is not None and template.category == "MARKETING",
    }
    return next((code for code, holds in refusals.items() if holds), None)


def final_status(profile: Profile, error: int) -> str:
    if error == 63016:
        return profile.window_status
    return "undelivered" if error in _UNDELIVERED else "failed"
