"""One run: start, load and chaos at once, then calm until everything is answered, then the account."""

import asyncio
from collections.abc import Callable

import httpx

from kit.clock import SystemClock
from kit.kafka.broker import client_options
from kit.kafka.lag import lags
from kit.kafka.outlet import Outlet
from kit.metrics import Metrics
from schemas.notices import AgentUnavailable
from tests.crash.account import Account
from tests.crash.chaos import Chaos
from tests.crash.clients import Clients
from tests.crash.doors import answers, shut
from tests.crash.evidence import Evidence
from tests.crash.excuses import excuses
from tests.crash.fleet import Fleet
from tests.crash.left import left
from tests.crash.notices import Notices
from tests.crash.operators import Operators
from tests.crash.oracle import judge
from tests.crash.plan import Plan
from tests.crash.world import World

__all__ = ["CrashRun"]

CALM_S = 240.0  # a lost answer is asked for during 60 s, and may be lost again to a second kill
STILL_S = 12.0  # what nobody expects must have had its time to appear: a status, a read, a second POST
COMMITTED_S = 60.0  # the last statuses are read and committed by then
PROGRESS_S = 10.0


class CrashRun:
    """`play`, then `account`, `chaos` and `fleet` tell what happened."""

    def __init__(self, plan: Plan, seed: int, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._seed = seed
        self._say = say
        self.fleet = Fleet(say)
        self.account = Account()
        self.troubles: list[str] = []

    async def play(self) -> None:
        """Raises StackError."""
        try:
            await self.fleet.start()
            async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
                await self._play(http)
        finally:
            await self.fleet.stop()

    async def _play(self, http: httpx.AsyncClient) -> None:
        settings = self.fleet.layout.kafka
        outlet = Outlet(client_options(settings), "", SystemClock(), Metrics())
        self._notices = Notices(self.fleet.layout.kafka_servers)
        self._world = World(self.fleet.layout, http)
        self._clients = Clients(self._plan, self.fleet.layout, http)
        self._operators = Operators(self._plan, outlet, self._notices)
        self._chaos = Chaos(self._plan, self.fleet, self._world, self._say, self._seed)
        await outlet.start()
        await self._notices.start()
        try:
            await self._until_up(http)
            await self._world.prepare(self._seed)
            await self._storm()
            await self._lull()
            self.troubles += await shut(http, self.fleet.doors)
            self.troubles += await left(lambda: lags(settings), COMMITTED_S)
        finally:
            await self._notices.stop()
            await outlet.stop()
        await self._settle_account()

    async def _until_up(self, http: httpx.AsyncClient) -> None:
        layout = self.fleet.layout
        wanted = [f"{layout.url('twilio_control')}/_sim/health", f"{layout.url('elevenlabs')}/__sim/stats"]
        wanted += [f"{layout.url('backend')}/health", f"{layout.url('ingress')}/ready"]
        async with asyncio.timeout(90):
            for url in wanted:
                while not await answers(http, url):  # noqa: ASYNC110  # another process has no Event
                    await asyncio.sleep(0.2)

    async def _storm(self) -> None:
        self._say("Storm")
        progress = asyncio.create_task(self._progress())
        try:
            async with asyncio.TaskGroup() as group:
                for part in (self._clients, self._operators, self._chaos):
                    group.create_task(part.live())
        finally:
            progress.cancel()
            await asyncio.gather(progress, return_exceptions=True)

    async def _lull(self) -> None:
        """Until everything is accounted for, and then as long as something unexpected would need to show."""
        self._say("Lull")
        await self._world.calm(self._seed)
        loop = asyncio.get_running_loop()
        ends = loop.time() + CALM_S
        while loop.time() < ends and (await self._look()).lost:
            await self._operators.rescue()
            await asyncio.sleep(2)
        self.troubles += [f"{CALM_S:g} s of calm were not enough"] if loop.time() >= ends else []
        await asyncio.sleep(STILL_S)
        self.account = await self._look()

    async def _progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            try:
                async with asyncio.timeout(PROGRESS_S):
                    await self._operators.rescue()
                    found = await self._look()
            except (httpx.HTTPError, TimeoutError) as error:
                self._say(f"          no progress to be had: {type(error).__name__}")
                continue
            late = found.lost
            self._say(
                f"          {found.sent} in, {found.answered} answered, {late} waiting, {found.doubled} doubled,"
                f" {found.inverted} inverted, {found.after_fence} after a fence; {self.fleet.kills.total()} kills"
            )

    async def _look(self) -> Account:
        contacts = len(self._plan.scripts)
        shown = await self._world.shown(contacts)
        return judge(
            Evidence(
                self._clients.sent,
                shown,
                self._operators.shifts,
                excuses(self._notices, contacts),
                self._chaos.blows,
            )
        )

    async def _settle_account(self) -> None:
        self.troubles += self._chaos.hangs
        self.troubles += [f"take-over of contact {one} never confirmed" for one in self._operators.unconfirmed]
        self.troubles += self.fleet.crashes()
        self.agent_unavailable = len(self._notices.all(AgentUnavailable))
