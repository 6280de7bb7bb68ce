"""The official client, untouched, from inside an event loop."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

from sandbox.twilio import TwilioSimulator

T = TypeVar("T")

USER = "whatsapp:+34600111222"
OURS = "whatsapp:+14155238886"


class Sdk:
    """The official synchronous client in a thread, untouched."""

    def __init__(self, sim: TwilioSimulator) -> None:
        self.client = Client(sim.profile.account_sid, sim.profile.auth_token)
        for domain in (self.client.api, self.client.messaging, self.client.content):
            domain.base_url = sim.url

    async def __call__(self, act: Callable[[Client], T]) -> T:
        return await asyncio.to_thread(act, self.client)

    async def send(self, body: str = "hi", to: str = USER, **more: object) -> str:
        message = await self(lambda c: c.messages.create(to=to, from_=OURS, body=body, **more))
        return str(message.sid)

    async def error(self, **arguments: object) -> TwilioRestException:
        with pytest.raises(TwilioRestException) as caught:
            await self(lambda c: c.messages.create(**arguments))  # type: ignore[arg-type]
        return caught.value
