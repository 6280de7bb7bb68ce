"""Does to the fleet what the plan says, when it says so."""

import asyncio
import signal
from collections.abc import Callable
from datetime import datetime

from tests.crash.clients import now
from tests.crash.fleet import Fleet
from tests.crash.plan import Blow, Plan
from tests.crash.world import World

__all__ = ["Chaos"]

DRAIN_S = 60.0  # SIGTERM to the end: what a container's grace allows


class Chaos:
    def __init__(self, plan: Plan, fleet: Fleet, world: World, say: Callable[[str], None], seed: int) -> None:
        self._plan = plan
        self._fleet = fleet
        self._world = world
        self._say = say
        self._seed = seed
        self.blows: list[tuple[datetime, str]] = []
        self.hangs: list[str] = []

    async def live(self) -> None:
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for blow in self._plan.blows:
                await asyncio.sleep(max(0.0, began + blow.at - asyncio.get_running_loop().time()))
                group.create_task(self._strike(blow))
            await asyncio.sleep(max(0.0, began + self._plan.seconds - asyncio.get_running_loop().time()))

    async def _strike(self, blow: Blow) -> None:
        self._say(f"  {blow.at:6.1f} s  {blow.what} {blow.target} {blow.seconds:.1f} s")
        struck = (now(), f"{blow.what} {blow.target}".strip())
        if not self._hits(blow):
            return  # it is starting again: nobody recovers from what did not happen
        if blow.what not in {"twilio", "agent"}:
            self.blows.append(struck)
        match blow.what:
            case "pause":
                await self._pause(blow)
            case "leave":
                await self._leave(blow)
            case "store":
                await self._fleet.restart_store(blow.seconds)
            case "broker":
                await self._fleet.kill_broker(blow.seconds)
            case "twilio" | "agent":
                await self._trouble(blow)

    def _hits(self, blow: Blow) -> bool:
        """What is sudden is done here."""
        if blow.what == "kill":
            return self._fleet.kill(blow.target)
        return blow.what != "pause" or self._fleet.members[blow.target].signal(signal.SIGSTOP)

    async def _pause(self, blow: Blow) -> None:
        await asyncio.sleep(blow.seconds)
        self._fleet.members[blow.target].signal(signal.SIGCONT)

    async def _leave(self, blow: Blow) -> None:
        member = self._fleet.members[blow.target]
        try:
            await member.leave(DRAIN_S)
        except TimeoutError:
            self.hangs.append(f"{blow.target} did not end within {DRAIN_S:g} s of SIGTERM")
            member.signal(signal.SIGKILL)
        await asyncio.sleep(blow.seconds)
        member.start()

    async def _trouble(self, blow: Blow) -> None:
        """The other's trouble may be under way, and goes on."""
        if blow.what == "twilio":
            await self._world.trouble_twilio(blow.seed)
            await asyncio.sleep(blow.seconds)
            await self._world.calm_twilio(blow.seed)
        else:
            await self._world.trouble_agent()
            await asyncio.sleep(blow.seconds)
            await self._world.calm_agent()
