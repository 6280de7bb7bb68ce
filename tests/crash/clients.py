"""Those who write, and those who were called: what went in, and when it was acknowledged."""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx

from kit.ids import call_id, turn_id
from sandbox.layout import Layout
from schemas.contact import Contact, canonical, parse_address
from schemas.events import CallCompleted
from tests.crash.plan import Bubble, Plan, token

__all__ = ["Clients", "Sent", "now", "phone"]

WEBHOOK_S = 40.0  # Twilio gives up after 15 s
TRY_AGAIN = 503  # what the ingress says while the broker is away


def now() -> datetime:
    return datetime.now(UTC)


def phone(contact: int) -> Contact:
    return canonical(parse_address(f"+3460011{contact:04d}"))


@dataclass(slots=True)
class Sent:
    """One message; `acknowledged` None: Twilio gave up, so it may be in or not."""

    contact: int
    token: str
    began: datetime
    acknowledged: datetime | None = None
    turn: str = ""
    """The turn that it is the first event of, if it is the first of one."""
    turned_away: bool = False
    """The ingress said neither yes nor 'try again': nothing that is killed excuses that."""


class Clients:
    def __init__(self, plan: Plan, layout: Layout, http: httpx.AsyncClient) -> None:
        self._plan = plan
        self._layout = layout
        self._http = http
        self.sent: list[Sent] = []

    async def live(self) -> None:
        began = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for contact, script in enumerate(self._plan.scripts):
                group.create_task(self._write(contact, script, began, group))
                if contact < self._plan.called:
                    group.create_task(self._call(contact, began + 2 + contact))

    async def _write(self, contact: int, script: Any, began: float, group: asyncio.TaskGroup) -> None:
        under_way: list[asyncio.Task[None]] = []
        for bubble in script:
            await asyncio.sleep(max(0.0, began + bubble.at - asyncio.get_running_loop().time()))
            if bubble.alone and under_way:
                await asyncio.wait(under_way)
                under_way.clear()
            under_way.append(group.create_task(self._say(contact, bubble)))

    async def _say(self, contact: int, bubble: Bubble) -> None:
        sent = Sent(contact, token(contact, bubble.number), now())
        self.sent.append(sent)
        body = {"from": phone(contact), "body": bubble.text}
        url = f"{self._layout.url('twilio_control')}/_sim/inbound"
        told = (await self._http.post(url, json=body, timeout=WEBHOOK_S)).raise_for_status().json()
        sent.turn = turn_id(phone(contact), told["sid"])
        if told["accepted"]:
            sent.acknowledged = now()
        else:
            sent.turned_away = (told["answer"] or {}).get("http") not in {None, TRY_AGAIN}

    async def _call(self, contact: int, at: float) -> None:
        """What was talked about is shown in the greeting, so a greeting is an answer like any other."""
        await asyncio.sleep(max(0.0, at - asyncio.get_running_loop().time()))
        sent = Sent(contact, token(contact, 0), now())
        self.sent.append(sent)
        call = {
            "phoneNumber": phone(contact),
            "clientName": "Ana",
            "callSummary": f"la llamada {sent.token}",
            "conversationId": f"conv_call_{contact}",
        }
        sent.turn = turn_id(phone(contact), call_id(phone(contact), CallCompleted.model_validate(call)))
        done = await self._http.post(f"{self._layout.url('backend')}/calls", json=call, timeout=WEBHOOK_S)
        if done.is_success:
            sent.acknowledged = now()
