"""Moments as people write them: `2h` ago, or an ISO time."""

import re
from datetime import UTC, datetime, timedelta

from kit.errors import HiloError

__all__ = ["WrongTime", "since"]

AGO = re.compile(r"(\d{1,6})([smhd])")
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class WrongTime(HiloError):
    """Neither a duration nor a time."""

    def __init__(self, text: str) -> None:
        super().__init__(f"{text!r} is no time: write 30m, 2h, 3d, or 2026-11-26T10:00 (UTC where no zone is given)")


def since(text: str, now: datetime) -> datetime:
    """Raises WrongTime."""
    try:
        if found := AGO.fullmatch(text.strip()):
            return now - timedelta(**{UNITS[found[2]]: int(found[1])})
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, OverflowError):
        raise WrongTime(text) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
