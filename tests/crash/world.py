"""The world outside: what it is told to do wrong, and what it saw."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx

from sandbox.layout import Layout
from tests.crash.clients import phone
from tests.crash.evidence import Shown

__all__ = ["World"]

POSTS = {"path": "Messages", "method": "POST", "times": None}
TWILIO: Sequence[dict[str, Any]] = (
    {"effect": "error", "http": 503, "after": True, "probability": 0.15, **POSTS},
    {"effect": "error", "http": 500, "code": 20500, "probability": 0.1, **POSTS},
    {"effect": "error", "http": 429, "code": 20429, "retry_after": 1, "probability": 0.1, **POSTS},
    {"effect": "reset", "after": True, "probability": 0.1, **POSTS},
    {"effect": "reset", "probability": 0.1, **POSTS},
    {"effect": "truncate", "probability": 0.1, **POSTS},
    {"effect": "callback_first", "probability": 0.2, **POSTS},
    {"effect": "delay", "seconds": 3, "probability": 0.2, **POSTS},
    {"effect": "duplicate", "kind": "inbound", "seconds": 0.05, "probability": 0.3, "times": None},
    {"effect": "replay", "kind": "inbound", "seconds": 4, "probability": 0.3, "times": None},
    {"effect": "drop", "kind": "status", "probability": 0.2, "times": None},
    {"effect": "hold", "kind": "status", "seconds": 5, "probability": 0.3, "times": None},
    {"effect": "shuffle", "kind": "status", "seconds": 2, "count": 5, "probability": 0.3, "times": None},
    {"effect": "replay", "kind": "status", "seconds": 3, "probability": 0.3, "times": None},
)
AGENT: Sequence[dict[str, Any]] = (
    {"at": "before_reply", "do": {"kind": "close", "code": 1011}, "probability": 0.1, "times": None},
    {"at": "mid_stream", "do": {"kind": "abort"}, "probability": 0.03, "times": None},
    {"at": "handshake", "do": {"kind": "http", "status": 503}, "probability": 0.1, "times": None},
    {"at": "before_reply", "do": {"kind": "stall_mid_stream", "ms": 3000}, "probability": 0.2, "times": None},
    {"at": "before_reply", "do": {"kind": "duplicate_event"}, "probability": 0.2, "times": None},
    {"at": "after_reply", "do": {"kind": "close", "code": 1000}, "probability": 0.2, "times": None},
)
ALWAYS: Sequence[dict[str, Any]] = (
    {"effect": "duplicate", "kind": "inbound", "seconds": 0.3, "probability": 0.08, "times": None},
    {"effect": "replay", "kind": "status", "seconds": 1, "probability": 0.05, "times": None},
)
RETRY_MS = 1500  # Twilio repeats a webhook within 15 s; a killed ingress needs three of them to be back
KEPT = {"keep_messages": 200_000, "keep_bubbles": 10_000}  # hours: what is forgotten would look lost
SENT = {"median_ms": 400, "sigma": 0.7}  # one in ten takes longer than a second


class World:
    """Through the simulators' control planes only."""

    def __init__(self, layout: Layout, http: httpx.AsyncClient) -> None:
        self._twilio = f"{layout.url('twilio_control')}/_sim"
        self._agent = f"{layout.url('elevenlabs')}/__sim"
        self._http = http

    async def prepare(self, seed: int) -> None:
        """The agent answers with what it was asked, so that an answer shows what it covers."""
        await self._http.put(f"{self._agent}/agents/agent_sandbox", json={"brain": "echo", "first_message": ""})
        profile = {"retry_pause_ms": RETRY_MS, "sent": SENT, **KEPT}
        (await self._http.put(f"{self._twilio}/profile", json=profile)).raise_for_status()
        (await self._http.post(f"{self._twilio}/reset")).raise_for_status()  # rings of this size
        await self.calm(seed)

    async def calm(self, seed: int) -> None:
        await self.calm_twilio(seed)
        await self.calm_agent()

    async def calm_twilio(self, seed: int) -> None:
        (await self._http.delete(f"{self._twilio}/faults")).raise_for_status()
        await self._faulty(ALWAYS, seed)

    async def calm_agent(self) -> None:
        (await self._http.delete(f"{self._agent}/faults")).raise_for_status()

    async def trouble_twilio(self, seed: int) -> None:
        await self._faulty(TWILIO, seed)

    async def trouble_agent(self) -> None:
        for fault in AGENT:
            (await self._http.post(f"{self._agent}/faults", json=fault)).raise_for_status()

    async def _faulty(self, faults: Sequence[dict[str, Any]], seed: int) -> None:
        for number, fault in enumerate(faults):
            told = await self._http.post(f"{self._twilio}/faults", json={**fault, "seed": seed + number})
            told.raise_for_status()

    async def shown(self, contacts: int) -> list[Shown]:
        """The handset before its messages: whatever is on it by then is among them."""
        seen: list[Shown] = []
        for contact in range(contacts):
            bubbles, messages = await self._bubbles(contact), await self._messages(contact)
            seen += [_shown(contact, one, messages[one["sid"]]) for one in bubbles]
        return seen

    async def _messages(self, contact: int) -> dict[str, dict[str, Any]]:
        asked: dict[str, str | int] = {"contact": phone(contact), "limit": 20_000}
        told = (await self._http.get(f"{self._twilio}/messages", params=asked)).raise_for_status().json()
        return {one["sid"]: one for one in told["messages"]}

    async def _bubbles(self, contact: int) -> list[dict[str, Any]]:
        told = (await self._http.get(f"{self._twilio}/handset/{phone(contact)}")).raise_for_status().json()
        return [one for one in told["bubbles"] if one["author"] == "us"]


def _shown(contact: int, bubble: dict[str, Any], message: dict[str, Any]) -> Shown:
    at = datetime.fromisoformat(message["log"][0][1])
    return Shown(contact, bubble["n"], at, bubble["body"], _send(message["callback"]))


def _send(callback: str | None) -> str:
    """The id that our sender put into the URL; empty for what no POST of ours made."""
    return parse_qs(urlsplit(callback or "").query).get("send", [""])[0]
