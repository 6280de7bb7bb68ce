"""People who take over, sometimes speak, and hand back: through `contact.log`, as `hilo takeover` does."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from kit.clock import SystemClock
from kit.errors import BrokerDown
from kit.ids import turn_id
from kit.kafka.outlet import Outlet
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.events import Event, HandedBack, OperatorSaid, TakenOver
from schemas.notices import ConversationEscalated, ConversationTakenOver
from schemas.topics import CONTACT_LOG
from tests.crash.clients import now, phone
from tests.crash.notices import Notices, Told
from tests.crash.plan import Plan, TakeOver

__all__ = ["Operators", "Shift"]

CONFIRMED_S = 120.0


@dataclass(slots=True)
class Shift:
    """One take-over. The bot has to be silent from `confirmed` to `handed_back`, which begins to be published then."""

    contact: int
    asked: datetime
    confirmed: datetime | None = None
    spoke: datetime | None = None
    handed_back: datetime | None = None
    turn: str = ""
    """Of the person's words."""


class Operators:
    def __init__(self, plan: Plan, outlet: Outlet, notices: Notices) -> None:
        self._plan = plan
        self._outlet = outlet
        self._notices = notices
        self.shifts: list[Shift] = []
        self.unconfirmed: list[int] = []
        self._rescued: set[str] = set()

    async def live(self) -> None:
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for one in self._plan.take_overs:
                group.create_task(self._shift(one, began))

    async def _shift(self, one: TakeOver, began: float) -> None:
        await asyncio.sleep(max(0.0, began + one.at - asyncio.get_running_loop().time()))
        contact = phone(one.contact)
        shift = Shift(one.contact, now())
        self.shifts.append(shift)
        await self._publish(contact, TakenOver(by="luis"), f"takeover_{one.contact}")
        told = await self._confirmation(contact)
        if told is None:
            self.unconfirmed.append(one.contact)
        else:
            shift.confirmed = told.at
            await asyncio.sleep(one.stays)
            if one.speaks:
                words = OperatorSaid(by="luis", text="Soy Luis, le atiendo yo.")
                await self._publish(contact, words, f"say_{one.contact}")
                shift.turn = turn_id(contact, f"say_{one.contact}")
                shift.spoke = now()
                await asyncio.sleep(3)
        shift.handed_back = now()
        await self._publish(contact, HandedBack(by="luis"), f"handback_{one.contact}")

    async def _confirmation(self, contact: str) -> Told | None:
        for _ in range(int(CONFIRMED_S / 0.2)):
            if found := self._notices.of(contact, ConversationTakenOver):
                return found[0]
            await asyncio.sleep(0.2)
        return None

    async def rescue(self) -> None:
        """Whom three apologies in a row have silenced is handed back: else everything after it would be excused."""
        busy = {phone(one.contact) for one in self._plan.take_overs}
        for told in self._notices.all(ConversationEscalated):
            if told.id not in self._rescued and told.contact not in busy:
                self._rescued.add(told.id)
                await self._publish(told.contact, HandedBack(by="crash run"), f"rescue_{told.id}")

    async def _publish(self, contact: str, event: Event, name: str) -> None:
        envelope = Envelope(name, "hilo/ops", SystemClock().now(), Contact(contact), event)
        while True:  # the same id, so that a repeat is harmless
            try:
                return await self._outlet.publish(CONTACT_LOG.name, envelope)
            except BrokerDown:
                await asyncio.sleep(0.5)
