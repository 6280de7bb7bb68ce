"""People who write at a steady rate, and whether each of them was answered; by the Twilio simulator's account."""

import asyncio
import re
from collections import Counter
from typing import Any

import httpx

from sandbox.layout import Layout

__all__ = ["CONTACTS", "Load"]

CONTACTS = 600
"""In turn: at 12 messages/s each writes every 50 s, after its answer and below WhatsApp's limit of a pair."""
SLICE_S = 10.0
FIRST = "+34670000000"
QUESTION = re.compile(r"día \d+ de la semana \d+")
"""Nobody asks the same twice: else a lost answer and a double of the next one would balance."""


class Load:
    def __init__(self, layout: Layout, http: httpx.AsyncClient, per_s: float) -> None:
        self._twilio = f"{layout.url('twilio_control')}/_sim"
        self._agent = f"{layout.url('elevenlabs')}/__sim"
        self._http = http
        self._per_s = per_s
        self._mark = 0
        self._asked: Counter[tuple[str, str]] = Counter()
        self._answered: Counter[tuple[str, str]] = Counter()
        self.refused = 0

    async def prepare(self, *, agent_s: float, twilio_s: float) -> None:
        agent: dict[str, Any] = {"brain": "echo", "first_message": ""}
        agent |= {"latency": {"first_event": {"dist": "fixed", "p50": agent_s * 1000}}}
        agent |= {"limits": {"workspace_chat": -1, "daily": 10_000_000}}
        (await self._http.put(f"{self._agent}/agents/agent_sandbox", json=agent)).raise_for_status()
        profile = {"rest_latency": {"median_ms": twilio_s * 1000, "sigma": 0}}
        (await self._http.put(f"{self._twilio}/profile", json=profile)).raise_for_status()

    async def write(self, seconds: float) -> None:
        """In slices, each of other people than the one before."""
        each = max(1, round(self._per_s * SLICE_S))
        loop = asyncio.get_running_loop()
        ends, turn, number = loop.time() + seconds, 0, 0
        async with asyncio.TaskGroup() as group:
            while loop.time() < ends:
                group.create_task(self._slice(each, turn, number))
                turn, number = (turn + each) % CONTACTS, number + 1
                await asyncio.sleep(SLICE_S)

    async def _slice(self, count: int, turn: int, number: int) -> None:
        burst = {
            "count": count,
            "contacts": count,
            "within_ms": SLICE_S * 1000,
            "body": f"¿A qué hora abren el día {{n}} de la semana {number}?",
            "first": f"{FIRST[:-4]}{turn:04}",
        }
        told = (await self._http.post(f"{self._twilio}/burst", json=burst, timeout=None)).raise_for_status().json()
        self.refused += told["sent"] - told["accepted"]

    async def look(self) -> tuple[int, int]:
        """Messages written and answers posted so far. Call it often: the simulator forgets what is old."""
        asked = {"limit": 20_000, "after": self._mark}
        told = (await self._http.get(f"{self._twilio}/messages", params=asked)).raise_for_status().json()
        for one in told["messages"]:
            self._mark = max(self._mark, one["n"])
            inbound = one["direction"] == "inbound"
            who, counted = one["from" if inbound else "to"], self._asked if inbound else self._answered
            for what in QUESTION.findall(one["body"]) or [one["body"]]:  # one answer may cover two questions;
                counted[who, what] += 1  # an apology covers none: nothing went wrong here
        return self.written, self.answered

    @property
    def written(self) -> int:
        return self._asked.total()

    @property
    def answered(self) -> int:
        return self._answered.total()

    @property
    def unanswered(self) -> int:
        return (self._asked - self._answered).total()

    @property
    def unasked(self) -> int:
        """Answers more than questions, which would be doubles, and what answers none."""
        return (self._answered - self._asked).total()
