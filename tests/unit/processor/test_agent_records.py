"""How long a turn waits for what ElevenLabs wrote down of a call: in virtual time, with the real figure."""

import asyncio

import httpx

from processor.agent.calls import CallRecords
from schemas.documents import CallDocument
from tests.unit.processor.scripted_agent import LoopClock
from tests.unit.processor.states import CONTACT, NOW
from tests.virtual_loop import run_virtual

CALL = CallDocument(id="call_1", contact=CONTACT, conversation_id="conv_1", at=NOW)


class Silent:
    """The connection stands, nothing comes."""

    def __init__(self) -> None:
        self.asked = 0

    async def request(self, *_: object, **__: object) -> httpx.Response:
        self.asked += 1
        await asyncio.Event().wait()
        raise AssertionError


def test_a_turn_waits_three_seconds_and_the_next_one_not_at_all() -> None:
    async def main() -> tuple[list[float], int]:
        http = Silent()
        records = CallRecords("http://x", "k", http, LoopClock())  # type: ignore[arg-type]
        ended = []
        for _ in range(2):
            assert await records.completed(CALL) == CALL
            ended.append(asyncio.get_running_loop().time())
        return ended, http.asked

    assert run_virtual(main) == ([3.0, 3.0], 1)
