"""Who is let in: a token, then a signed cookie. Nothing is stored: a restart ends no session, a new token ends all."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
import unicodedata
from collections import OrderedDict
from dataclasses import dataclass
from datetime import timedelta

from kit.clock import Clock

__all__ = ["Attempts", "Session", "Sessions", "clean_name"]

LONGEST_NAME = 40
LOGGED_OUT = 10_000  # remembered until they would have ended anyway


@dataclass(frozen=True, slots=True)
class Session:
    id: str
    by: str
    """The operator's name: goes into the log with whatever is asked."""
    until: float


class Sessions:
    def __init__(self, token: str, lasts: timedelta, clock: Clock) -> None:
        self._token = token.encode()
        self._key = hashlib.blake2b(self._token, person=b"hilo-console").digest()
        self._lasts = lasts
        self._clock = clock
        self._ended: OrderedDict[str, float] = OrderedDict()

    def lets_in(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token)

    def begin(self, by: str) -> str:
        """The cookie of a new session."""
        until = (self._clock.now() + self._lasts).timestamp()
        told = json.dumps({"id": secrets.token_urlsafe(12), "by": by, "until": until}).encode()
        return f"{_text(told)}.{self._sign('session', told)}"

    def read(self, cookie: str) -> Session | None:
        """None where it is not ours, over, or logged out."""
        body, _, signature = cookie.partition(".")
        try:
            told = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
        except (binascii.Error, ValueError):
            return None
        if not hmac.compare_digest(signature.encode(), self._sign("session", told).encode()):
            return None
        session = Session(**json.loads(told))
        return session if self.lasts(session) else None

    def lasts(self, session: Session) -> bool:
        """Neither over nor logged out."""
        return session.until > self._clock.now().timestamp() and session.id not in self._ended

    def end(self, session: Session) -> None:
        self._ended[session.id] = session.until
        while len(self._ended) > LOGGED_OUT:
            self._ended.popitem(last=False)

    def csrf(self, session: str) -> str:
        """What every POST of this session, or of this login page, has to bring along."""
        return self._sign("csrf", session.encode())

    def holds(self, session: str, csrf: str) -> bool:
        return hmac.compare_digest(csrf.encode(), self.csrf(session).encode())

    def _sign(self, what: str, told: bytes) -> str:
        return hmac.new(self._key, f"{what}:".encode() + told, hashlib.sha256).hexdigest()


class Attempts:
    """Wrong tokens of one address: after MOST the door stays shut for a while, for right ones too."""

    MOST, SHUT_S, ADDRESSES = 5, 60.0, 10_000

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._failed: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait_s(self, address: str) -> float:
        """Seconds until it may try again; 0: now."""
        count, last = self._failed.get(address, (0, 0.0))
        left = last + self.SHUT_S - self._clock.monotonic()
        if left <= 0:
            self._failed.pop(address, None)
        return max(0.0, left) if count >= self.MOST else 0.0

    def failed(self, address: str) -> None:
        count, _ = self._failed.pop(address, (0, 0.0))
        self._failed[address] = (count + 1, self._clock.monotonic())
        while len(self._failed) > self.ADDRESSES:
            self._failed.popitem(last=False)

    def succeeded(self, address: str) -> None:
        self._failed.pop(address, None)


def clean_name(text: str) -> str:
    """One line, without what moves a cursor."""
    shown = "".join(one for one in text if unicodedata.category(one)[0] != "C")
    return " ".join(shown.split())[:LONGEST_NAME]


def _text(told: bytes) -> str:
    return base64.urlsafe_b64encode(told).decode().rstrip("=")
