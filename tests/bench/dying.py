"""Processors that are killed while people write: when is each contact's turn under way again?"""

import asyncio
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from kit.mongo import Mongo
from kit.settings import MongoSettings
from tests.crash.doors import answers
from tests.crash.fleet import SETTINGS, Fleet

__all__ = ["SESSION_S", "Dying", "Recovery", "after_kills"]

SESSION_S = int(SETTINGS["KAFKA_SESSION_TIMEOUT_MS"]) / 1000
CONTACTS = 24  # one for each partition; more would measure how fast this machine catches up
GROUPS = {"ingress": ("ingress",), "processor": ("processor", "processor-2"), "sender": ("sender",)}
UP_S, ANSWERED_S = 90.0, 120.0
Blow = tuple[str, float]
"""Who is killed, and how long after the one before."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Seconds since the last kill until a turn was started, of the contacts whose turn started after it."""

    seconds: Sequence[float]
    unanswered: int
    twice: int

    @property
    def last_s(self) -> float:
        return self.seconds[-1]

    def told(self) -> dict[str, Any]:
        return {
            "started_first_s": self.seconds[0],
            "started_p50_s": self.seconds[len(self.seconds) // 2],
            "started_last_s": self.last_s,
            "contacts": len(self.seconds),
            "unanswered": self.unanswered,
            "answered_twice": self.twice,
        }


async def after_kills(*blows: Blow, replaced: bool = True, agent_ms: float = 0.0) -> Recovery:
    fleet = Fleet(lambda _: None, groups=GROUPS, prefix="hilo-start-")
    try:
        await fleet.start()
        async with httpx.AsyncClient(trust_env=False, timeout=60) as http:
            world = Dying(fleet, http)
            await world.up()
            await world.prepare({"dist": "fixed", "p50": agent_ms})
            await world.write(CONTACTS, within_s=2)
            await world.until_answered(CONTACTS, ANSWERED_S)
            return await _killed(fleet, world, blows, replaced=replaced)
    finally:
        await fleet.stop()
        fleet.tidy()


async def _killed(fleet: Fleet, world: "Dying", blows: Sequence[Blow], *, replaced: bool) -> Recovery:
    began = now = datetime.now(UTC)
    each = CONTACTS // len(blows)
    writing: list[asyncio.Task[None]] = []
    for name, after in blows:
        await asyncio.sleep(after)
        now = datetime.now(UTC)
        if replaced:
            fleet.kill(name)
        else:
            fleet.members[name].die()
        writing.append(asyncio.create_task(world.write(each, within_s=1, people=len(writing) + 1)))
    await asyncio.gather(*writing)
    due = CONTACTS + each * len(blows)
    answered = await world.until_answered(due, ANSWERED_S)
    starts = await world.starts(began)
    return Recovery(
        seconds=sorted(round((at - now).total_seconds(), 2) for at in starts if at > now),
        unanswered=due - len(answered),
        twice=sum(count > 1 for count in answered.values()),
    )


class Dying:
    """The world around a fleet: who writes, what the agent does, and what the handsets and the store say."""

    def __init__(self, fleet: Fleet, http: httpx.AsyncClient) -> None:
        self._fleet = fleet
        self._http = http
        self._twilio = f"{fleet.layout.url('twilio_control')}/_sim"
        self._agent = f"{fleet.layout.url('elevenlabs')}/__sim"

    async def up(self) -> None:
        wanted = [f"{self._twilio}/health", f"{self._agent}/stats"]
        wanted += [f"{door}/ready" for door in self._fleet.doors.values()]
        async with asyncio.timeout(UP_S):
            for url in wanted:
                while not await answers(self._http, url):  # noqa: ASYNC110  # another process has no Event
                    await asyncio.sleep(0.1)

    async def prepare(self, thinking: dict[str, Any]) -> None:
        agent = {"brain": "echo", "first_message": "", "latency": {"first_event": thinking}}
        agent |= {"limits": {"workspace_chat": -1, "daily": 10_000_000}}
        (await self._http.put(f"{self._agent}/agents/agent_sandbox", json=agent)).raise_for_status()
        profile = {"mps": 100_000, "max_concurrency": 100_000, "webhook_concurrency": 256}
        (await self._http.put(f"{self._twilio}/profile", json=profile)).raise_for_status()

    async def write(self, count: int, *, within_s: float, people: int = 0) -> None:
        """One finished question of each of `count` people. Twilio repeats a webhook that nobody takes."""
        burst = {
            "count": count,
            "contacts": count,
            "within_ms": within_s * 1000,
            "body": "¿A qué hora abren el día {n}?",
            "first": f"+346{people:02}000000",
        }
        (await self._http.post(f"{self._twilio}/burst", json=burst, timeout=None)).raise_for_status()

    async def questions(self) -> int:
        """How many the agent was asked, repeats included."""
        return int((await self._http.get(f"{self._agent}/stats")).raise_for_status().json()["user_messages"])

    async def until_in_flight(self, member: str, count: int, within_s: float) -> int:
        """Turns at work in a processor: those that the agent thinks about, and those that wait for a session."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while (found := await self._in_flight(member)) < count:
            assert loop.time() < until, f"{found} of {count} turns in flight within {within_s:g} s"
            await asyncio.sleep(0.2)
        return found

    async def _in_flight(self, member: str) -> int:
        told = (await self._http.get(f"{self._fleet.doors[member]}/metrics")).raise_for_status().text
        found = re.search(r'hilo_lanes{[^}]*state="running"[^}]*topic="contact.log"} (\S+)', told)
        return int(float(found[1])) if found else 0

    async def until_answered(self, count: int, within_s: float) -> Counter[str]:
        """Bubbles of ours by person; returns when `count` people have one, or the time is over."""
        loop = asyncio.get_running_loop()
        until = loop.time() + within_s
        while len(found := await self._answered()) < count and loop.time() < until:  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        return found

    async def _answered(self) -> Counter[str]:
        told = (await self._http.get(f"{self._twilio}/messages", params={"limit": 20_000})).raise_for_status().json()
        return Counter(one["to"] for one in told["messages"] if one["direction"] != "inbound")

    async def starts(self, after: datetime) -> list[datetime]:
        """When each turn that was decided since had been started: its decision, less what the agent took for it."""
        found = await self._turns()
        return [at - timedelta(seconds=agent_s) for at, agent_s in found if at > after]

    async def decided(self, moment: datetime) -> int:
        """How many turns had been decided by then."""
        return sum(at <= moment for at, _ in await self._turns())

    async def _turns(self) -> list[tuple[datetime, float]]:
        where = self._fleet.layout.mongodb_uri
        mongo = Mongo(MongoSettings(mongodb_uri=where, mongodb_database="hilo", _env_file=None))
        turns = [one async for one in mongo.database["turns"].find({})]
        await mongo.stop()
        return [(one["decided_at"].replace(tzinfo=UTC), float(one["agent"].get("seconds", 0))) for one in turns]
