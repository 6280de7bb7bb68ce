"""Signed URLs: valid for a time to connect; single-use if a conversation id was bound to them."""

from collections import OrderedDict
from dataclasses import dataclass

from sandbox.elevenlabs.clock import SimClock

__all__ = ["Signature", "SignedUrls"]

_MOST = 50_000


@dataclass(slots=True)
class Signature:
    agent_id: str
    expires: float
    conversation_id: str | None
    used: bool = False


class SignedUrls:
    def __init__(self, clock: SimClock, ttl_s: float = 900.0) -> None:
        self._clock = clock
        self._ttl = ttl_s
        self._known: OrderedDict[str, Signature] = OrderedDict()

    def issue(self, signature: str, agent_id: str, conversation_id: str | None) -> None:
        # wall time: a sandbox that says "a day later" through the clock file must see it expire
        expires = self._clock.now().timestamp() + self._ttl
        self._known[signature] = Signature(agent_id, expires, conversation_id)
        if len(self._known) > _MOST:
            self._known.popitem(last=False)

    def redeem(self, signature: str, agent_id: str) -> Signature | None:
        """The signature if it is good for this agent now, else None."""
        known = self._known.get(signature)
        if known is None or known.agent_id != agent_id or self._clock.now().timestamp() > known.expires:
            return None
        if known.conversation_id and known.used:
            return None
        known.used = True
        return known

    def clear(self) -> None:
        self._known.clear()
