"""A WhatsApp account at Twilio, pretended: `python -m sandbox.twilio --help`, or `async with TwilioSimulator(…)`."""

from sandbox.twilio.faults import Fault
from sandbox.twilio.handset import Bubble, Handset
from sandbox.twilio.inbox import Received
from sandbox.twilio.ledger import Delivery, Message
from sandbox.twilio.profile import Delay, Profile
from sandbox.twilio.simulator import TwilioSimulator
from sandbox.twilio.templates import Template

__all__ = [
    "Bubble",
    "Delay",
    "Delivery",
    "Fault",
    "Handset",
    "Message",
    "Profile",
    "Received",
    "Template",
    "TwilioSimulator",
]
