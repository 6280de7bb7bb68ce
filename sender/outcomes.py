"""Twilio's error codes → what to do. Data, so that it can be read and changed; unknown codes get the safe default.

Source: Twilio's error dictionary (`/docs/api/errors`). Twilio tells clients not to program against its codes, so
this table is the only place that does. It serves for refusals of a POST and for failures told by a callback.
"""

from collections.abc import Mapping
from typing import Literal, get_args

__all__ = ["TABLE", "Action", "action_for"]

Action = Literal["undeliverable", "suppress", "opt_out", "halt", "backoff", "later", "template", "fix"]
"""undeliverable  this message will not be shown: a notice
suppress       nobody there until they write: a notice, and `AddressRefused` for the processor
opt_out        they do not want it: the same
halt           our account or number: hold everything, raise the alarm; by callback, an alarm and a notice
backoff        too fast, or a full queue: hold everything, count no attempt; by callback, a notice
later          this contact only: a few more attempts half a minute apart; by callback, a notice
template       the window is closed after all: its template, once; without one, a notice
fix            our fault or our content: a notice, an error in the log, the alarm"""

CODES: Mapping[Action, tuple[int, ...]] = {
    "halt": (
        *(20003, 20005, 20006, 30002, 20404, 21701, 21703, 21705),
        *(63001, 63002, 63007, 63008, 63020, 63022, 63051),
    ),
    "backoff": (20429, 21611, 63017),
    # 63018 is the limit of a pair or of the portfolio; the rest are failures inside Twilio or Meta.
    "later": (20503, 30001, 30008, 30410, 63009, 63010, 63012, 63018, 63023, 63029),
    "suppress": (21211, 63003, 63014, 63024),
    "opt_out": (21610,),
    "template": (63016,),
    "fix": (
        *(21212, 21606, 21603, 21604, 21602, 21609, 21619, 21624, 21623, 21620),
        *(21408, 21601, 21612, 21614, 21608, 572006, 63015, 21617, 21654, 21655, 21656, 21910),
        *(30007, 63005, 63006, 63011, 63013, 63021, 63026, 63027, 63028, 63030, 63031),
        *(63038, 63040, 63041, 63042, 63062),
    ),
    "undeliverable": (
        *(11751, 14107, 30003, 30004, 30005, 30006),
        *(63019, 63025, 63032, 63033, 63034, 63037, 63049),
    ),
}
TABLE: Mapping[int, Action] = {code: action for action in get_args(Action) for code in CODES[action]}


def action_for(code: int | None) -> Action:
    """Unknown: this message will not be shown, say so and go on."""
    return TABLE.get(code or 0, "undeliverable")
