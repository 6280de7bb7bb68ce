"""Twilio's error codes → what to do. Data, so that it can be read and changed; unknown codes get the safe default.

Source: Twilio's error dictionary (`/docs/api/errors`). Twilio tells clients not to program against its codes, so
this table is the only place that does. It serves for refusals of a POST and for failures told by a callback.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from schemas.documents import SendDocument

__all__ = ["CODES", "TABLE", "UNKNOWN", "Action", "Outcome", "label", "once_more", "outcome_for"]

Action = Literal["undeliverable", "suppress", "opt_out", "halt", "hold", "later", "ask", "template", "fix"]
"""undeliverable  this message will not be shown: a notice
suppress       nobody there until they write: a notice, and `AddressRefused` for the processor
opt_out        they do not want it: the same
halt           our account or number: raise the alarm; nothing goes out until Twilio takes it again
hold           too fast, or a full queue: refused, nothing goes out for a while; told by a callback, as `later`
later          this contact only waits: after each of the delays once more, then a notice
ask            it may have been shown: wait for news, then once more, said in a notice
template       the window is closed after all: its template, once; without one, a notice
fix            our fault or our content: a notice, an error in the log, the alarm"""


@dataclass(frozen=True, slots=True)
class Outcome:
    action: Action
    delays: tuple[float, ...] = ()
    """s before each further POST of the same part, the last one before a notice; never after its `not_after`."""
    alarm: bool = False
    """A person has to look."""


UNKNOWN = Outcome("undeliverable", alarm=True)  # a code that nobody has written down: say so and go on
CODES: Mapping[Outcome, tuple[int, ...]] = {
    Outcome("halt", (300, 900), alarm=True): (
        *(20003, 20005, 20006, 30002, 20404, 21701, 21703, 21705),
        *(63001, 63002, 63007, 63008, 63020, 63022, 63051),
    ),
    Outcome("hold"): (20429,),  # `Retry-After` says how long
    Outcome("hold", (60, 300), alarm=True): (21611,),
    Outcome("hold", (30, 300)): (63017,),
    Outcome("later", (30, 300)): (63009, 63010, 63012, 63023),  # inside Twilio or Meta
    Outcome("later", (60, 300)): (30001,),  # waited too long in a queue
    Outcome("later", (30, 60)): (63018,),  # the limit of a pair, or of the portfolio
    Outcome("later", (30,)): (30008, 63019, 63029),
    Outcome("ask", (60,)): (20500, 20503, 30410),
    Outcome("suppress"): (63003, 63014, 63024),
    Outcome("suppress", alarm=True): (21211,),
    Outcome("opt_out"): (21610,),
    Outcome("template"): (63016,),
    Outcome("fix", alarm=True): (
        *(21212, 21606, 21603, 21604, 21602, 21609, 21619, 21624, 21623, 21620),
        *(21408, 21601, 21612, 21614, 21608, 572006, 63015, 21617, 21654, 21655, 21656, 21910),
        *(30007, 63005, 63006, 63011, 63013, 63021, 63026, 63027, 63028, 63030, 63031),
        *(63038, 63040, 63041, 63042, 63062),
    ),
    Outcome("undeliverable", alarm=True): (14107,),  # a loop between two bots
    Outcome("undeliverable"): (
        *(11751, 30003, 30004, 30005, 30006),
        *(63025, 63032, 63033, 63034, 63037, 63049),
    ),
}
TABLE: Mapping[int, Outcome] = {code: outcome for outcome, codes in CODES.items() for code in codes}


def outcome_for(code: int | None) -> Outcome:
    """Without a code there is nothing to look at: it was not shown."""
    return TABLE.get(code, UNKNOWN) if code else Outcome("undeliverable")


def label(code: int | None) -> str:
    """As metrics count it: a code that this table does not have is `other`."""
    return "none" if not code else str(code) if code in TABLE else "other"


def once_more(send: SendDocument, code: int | None, now: datetime) -> dict[str, Any] | None:
    """What changes in a row that is to be posted again after this error; None if that was its last time.

    Not after a repeat: its first message may be on the handset, and nobody could say which one failed.
    """
    outcome = outcome_for(code)
    if send.repeats:
        return None
    update: dict[str, Any] = {"state": "again", "owed": True, "lease_until": None}
    if outcome.action == "template":
        known = send.fallback and not send.template
        return {**update, "content": send.fallback, "fallback": None, "again_at": now} if known else None
    if send.content is None or send.retries >= len(outcome.delays):
        return None
    delay = timedelta(seconds=outcome.delays[send.retries])
    return {**update, "retries": send.retries + 1, "again_at": now + delay}
