"""A clock for a service that talks to the Twilio simulator."""

import asyncio
from datetime import datetime

from sandbox.twilio import TwilioSimulator


class SimulatorsClock:
    """The simulator's clock is ours: Twilio dates its messages by it. A wait moves it on at once."""

    def __init__(self, sim: TwilioSimulator) -> None:
        self._sim = sim

    def now(self) -> datetime:
        return self._sim.account.now()

    def monotonic(self) -> float:
        return self._sim.account.now().timestamp()

    async def sleep(self, seconds: float) -> None:
        self._sim.advance(seconds)
        await asyncio.sleep(0)

    async def sleep_until(self, moment: datetime) -> None:
        await self.sleep(max(0.0, (moment - self.now()).total_seconds()))
