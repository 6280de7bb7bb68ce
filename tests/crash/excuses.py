"""The main backend's notices as the oracle's excuses: a reply without a notice has none."""

from collections.abc import Mapping

from schemas.events import Event
from schemas.notices import ContactThrottled, MessageExpired, MessageUncertain, MessageUndeliverable
from tests.crash.clients import phone
from tests.crash.evidence import Excuse
from tests.crash.notices import Notices, Told

__all__ = ["excuses"]

KINDS: Mapping[type[Event], str] = {
    MessageExpired: "expired",
    MessageUndeliverable: "undeliverable",
    MessageUncertain: "uncertain",
    ContactThrottled: "throttled",
}
SPECIAL = {
    (MessageUncertain, "posted_again"): "posted_again",
    (MessageUndeliverable, "fenced"): "fenced",  # told at every take-over; who hands back unanswered gets an answer
}


def excuses(notices: Notices, contacts: int) -> dict[int, list[Excuse]]:
    numbers: dict[str, int] = {phone(contact): contact for contact in range(contacts)}
    found: dict[int, list[Excuse]] = {contact: [] for contact in range(contacts)}
    for kind in KINDS:
        for told in notices.all(kind):
            found[numbers[told.contact]].append(_excuse(kind, told))
    return found


def _excuse(kind: type[Event], told: Told) -> Excuse:
    name = SPECIAL.get((kind, told.data.get("reason", "")), KINDS[kind])
    return Excuse(name, told.at, told.data.get("send_id", ""))
