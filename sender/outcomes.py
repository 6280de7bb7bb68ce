"""Twilio's error codes → what to do. Data, so that it can be read and changed; unknown codes get the safe default.

Source: Twilio's error dictionary (`/docs/api/errors`). Twilio tells clients not to program against its codes, so
this table is the only place that does.
"""

from typing import Literal

__all__ = ["Action", "action_for"]

Action = Literal["undeliverable", "suppress", "halt", "backoff"]

TABLE: dict[int, Action] = {
    20003: "halt",
    20005: "halt",
    20006: "halt",
    20404: "halt",
    20429: "backoff",
    30002: "halt",
    21211: "suppress",
    21611: "backoff",
    21701: "halt",
    21703: "halt",
    21705: "halt",
    63001: "halt",
    63002: "halt",
    63003: "suppress",
    63007: "halt",
    63008: "halt",
    63014: "suppress",
    63017: "backoff",
    63020: "halt",
    63022: "halt",
    63024: "suppress",
    63051: "halt",
}


def action_for(code: int | None) -> Action:
    """`undeliverable`: this message will not be shown, say so and go on."""
    return TABLE.get(code or 0, "undeliverable")
