"""How Twilio writes things on the wire: sids, dates, signatures, connection overrides."""

import base64
import functools
import hashlib
import hmac
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote_plus


def rfc2822(moment: datetime) -> str:
    return format_datetime(moment.astimezone(UTC))


def sign(secret: str, url: str, form: Mapping[str, str], algorithm: str = "sha1") -> str:
    """The `X-Twilio-Signature` of a request to `url`, which is covered byte for byte."""
    text = url + "".join(name + form[name] for name in sorted(form))
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), algorithm).digest()).decode()


def encode_form(form: Mapping[str, str]) -> bytes:
    """`urlencode`, which spends most of its time on sids and names that need no quoting."""
    return "&".join(f"{name}={_quoted(value)}" for name, value in form.items()).encode()


def _quoted(value: str) -> str:
    return value if value.isascii() and value.isalnum() else quote_plus(value)


class Mint:
    """Sids and tokens that come out the same for the same seed and order."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def sid(self, prefix: str) -> str:
        self._count += 1
        return prefix + self._digest(str(self._count))

    def sid_about(self, prefix: str, about: str) -> str:
        """A sid that depends on what it is for, not on when it is made."""
        return prefix + self._digest(about)

    def token(self, about: str) -> str:
        """An idempotency token; timers make callbacks interleave, so it may not depend on their order."""
        digits = self._digest(f"token {about}")
        return "-".join((digits[:8], digits[8:12], "4" + digits[13:16], "a" + digits[17:20], digits[20:]))

    def _digest(self, about: str) -> str:
        return hashlib.md5(f"{self._seed}:{about}".encode(), usedforsecurity=False).hexdigest()

    def dice(self) -> random.Random:
        """A generator for one thing only, so that what else goes on at the time cannot change its draws."""
        self._count += 1
        return random.Random((self._seed << 40) + self._count)


def external_user_id(phone: str) -> str:
    """The BSUID our portfolio would see for this phone: stable, not convertible back."""
    country = next((c for prefix, c in _COUNTRIES.items() if phone.startswith(prefix)), "US")
    digest = hashlib.md5(phone.encode(), usedforsecurity=False).hexdigest()
    return f"{country}.{int(digest[:14], 16):016d}"


_COUNTRIES = {"+52": "MX", "+54": "AR", "+55": "BR", "+34": "ES", "+351": "PT", "+44": "GB", "+49": "DE"}


@dataclass(frozen=True, slots=True)
class Overrides:
    """The `#…` of a webhook URL: what to retry, how often, how long to wait."""

    url: str
    """What is requested and signed."""
    connect_s: float = 5
    read_s: float = 15
    total_s: float = 15
    retries: int = 1
    policy: frozenset[str] = frozenset({"ct"})

    @classmethod
    @functools.lru_cache(maxsize=1024)
    def parse(cls, configured: str) -> "Overrides":
        # Not urldefrag: it re-joins what it split, and the signed URL must not change by a byte.
        url, _, fragment = configured.partition("#")
        given = dict(parse_qsl(fragment))
        policy = frozenset(given.get("rp", "ct").split(","))
        if "all" in policy:
            policy = frozenset({"ct", "rt", "4xx", "5xx"})
        return cls(
            url=url,
            connect_s=_bounded(given.get("ct"), 100, 10_000, 5_000) / 1000,
            read_s=_bounded(given.get("rt"), 100, 15_000, 15_000) / 1000,
            total_s=_bounded(given.get("tt"), 100, 15_000, 15_000) / 1000,
            retries=_bounded(given.get("rc"), 0, 5, 1),
            policy=policy,
        )

    def retried(self, reason: str) -> bool:
        """Whether a failure of this kind (`ct`, `rt`, `4xx`, `5xx`) is tried again."""
        return reason in self.policy


def _bounded(text: str | None, low: int, high: int, default: int) -> int:
    return min(high, max(low, int(text))) if text and text.isdigit() else default
