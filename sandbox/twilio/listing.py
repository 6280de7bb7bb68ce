"""`GET /Messages.json`: filters, order and pages."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from sandbox.twilio.account import Account
from sandbox.twilio.ledger import Message

_MOST = 1000
_USUAL = 50


def list_page(account: Account, query: Mapping[str, str]) -> dict[str, Any]:
    """One page, newest first by DateSent; messages not sent yet come first."""
    size = min(_MOST, max(1, _number(query.get("PageSize"), _USUAL)))
    page = max(0, _number(query.get("Page"), 0))
    found = sorted(_matching(account, query), key=_age)
    start = _start(found, query.get("PageToken"), page * size)
    shown = found[start : start + size]
    more = len(found) > start + size
    base = f"/2010-04-01/Accounts/{account.profile.account_sid}/Messages.json"
    kept = {k: v for k, v in query.items() if k not in {"Page", "PageToken", "PageSize"}} | {"PageSize": str(size)}
    token = {"PageToken": f"PA{shown[-1].sid}"} if shown else {}
    return {
        "messages": [message.resource(account.profile.account_sid) for message in shown],
        "first_page_uri": f"{base}?{urlencode({**kept, 'Page': 0})}",
        "next_page_uri": f"{base}?{urlencode({**kept, 'Page': page + 1, **token})}" if more else None,
        "previous_page_uri": f"{base}?{urlencode({**kept, 'Page': page - 1})}" if page else None,
        "page": page,
        "page_size": size,
        "start": start,
        "end": start + max(0, len(shown) - 1),
        "uri": f"{base}?{urlencode({**kept, 'Page': page})}",
    }


def _age(message: Message) -> tuple[float, int]:
    far = float("inf")
    return (-message.sent.timestamp() if message.sent else -far, -message.n)


def _start(found: list[Message], token: str | None, default: int) -> int:
    """Right after the message the last page ended with: new arrivals must not shift the pages."""
    if token:
        after = token.removeprefix("PA")
        for index, message in enumerate(found):
            if message.sid == after:
                return index + 1
    return default


def _matching(account: Account, query: Mapping[str, str]) -> Iterator[Message]:
    to, from_ = query.get("To"), query.get("From")
    # One of the two is the contact unless it is one of our numbers; its index spares a walk over everything.
    contact = next((a for a in (to, from_) if a and not account.owns(a)), None)
    since, until, exact = (query.get(name) for name in ("DateSent>", "DateSent<", "DateSent"))
    # The SDK turns a date into its midnight; DateSent alone means that day all the same.
    day = exact[:10] if exact else None
    low, high = _instant(since or day), _instant(until or day, end=True)
    lag = account.profile.list_lag_ms / 1000
    visible_until = account.clock.monotonic() - lag
    for message in account.ledger.newest_first(contact):
        if lag and message.appeared > visible_until:
            continue
        if (to and message.to != to) or (from_ and message.from_ != from_):
            continue
        if (low or high) and not _sent_within(account, message, low, high):
            continue
        yield message


def _sent_within(account: Account, message: Message, low: datetime | None, high: datetime | None) -> bool:
    moment = message.sent
    if moment is None:
        if account.profile.datesent_excludes_unsent:
            return False
        moment = message.created
    # Twilio keeps whole seconds, so that is what it compares.
    moment = moment.replace(microsecond=0)
    return (low is None or moment >= low) and (high is None or moment <= high)


def _instant(text: str | None, *, end: bool = False) -> datetime | None:
    """A date covers its whole day."""
    if not text:
        return None
    try:
        if "T" not in text and " " not in text:
            day = datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
            return day + timedelta(days=1, seconds=-1) if end else day
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default
