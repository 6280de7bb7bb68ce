"""What the run sees of the world, over HTTP: whose part a bubble is, what the ingress answered, who is not ready."""

from typing import Any

import httpx
import pytest

from kit.ids import turn_id
from sandbox.layout import Layout
from tests.crash.clients import Clients, phone
from tests.crash.doors import shut
from tests.crash.plan import Bubble, Plan
from tests.crash.world import World

LAYOUT = Layout("/nowhere")
OURS = "https://hilo.example/webhook/twilio/status?send=turn_ab-1&attempt=2&trace=00-1#rc=3"


def client(answer: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.MockTransport(answer))


@pytest.mark.parametrize(("callback", "send"), [(OURS, "turn_ab-1"), (None, ""), ("https://hilo.example/status", "")])
async def test_a_bubble_is_of_the_part_that_its_callback_names(callback: str | None, send: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/messages"):
            log = [["queued", "2026-11-26T10:00:00+00:00"]]
            return httpx.Response(200, json={"messages": [{"sid": "SM1", "callback": callback, "log": log}]})
        return httpx.Response(200, json={"bubbles": [{"author": "us", "sid": "SM1", "n": 1, "body": "c0n1"}]})

    async with client(answer) as http:
        (found,) = await World(LAYOUT, http).shown(1)
    assert (found.send, found.place, found.body) == (send, 1, "c0n1")


async def test_a_bubble_that_appears_meanwhile_is_no_riddle() -> None:
    asked: list[str] = []
    bubble = {"author": "us", "sid": "SM1", "n": 1, "body": "c0n1"}
    message = {"sid": "SM1", "callback": OURS, "log": [["queued", "2026-11-26T10:00:00+00:00"]]}

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        late = len(asked) > 1  # it came between the two looks
        if request.url.path.endswith("/messages"):
            return httpx.Response(200, json={"messages": [message] if late else []})
        return httpx.Response(200, json={"bubbles": [bubble] if late else []})

    async with client(answer) as http:
        assert await World(LAYOUT, http).shown(1) == []


OUTCOMES = [
    ({"http": 200}, True, False),
    ({"http": 503}, False, False),
    ({"http": None}, False, False),
    (None, False, False),
    ({"http": 403}, False, True),
    ({"http": 500}, False, True),
    ({"http": 200}, False, True),
]


@pytest.mark.parametrize(("told", "accepted", "turned_away"), OUTCOMES)
async def test_only_try_again_and_no_answer_are_excused(
    told: dict[str, Any] | None, accepted: bool, turned_away: bool
) -> None:
    plan = Plan(1, 0.0, contacts=1, called=0)
    plan.scripts = [[Bubble(0.0, 1, "c0n1 hola")]]
    outcome = {"sid": "SM7", "accepted": accepted, "answer": told}
    async with client(lambda _: httpx.Response(200, json=outcome)) as http:
        clients = Clients(plan, LAYOUT, http)
        await clients.live()
    (sent,) = clients.sent
    assert (sent.acknowledged is not None, sent.turned_away) == (accepted, turned_away)
    assert sent.turn == turn_id(phone(0), "SM7")


async def test_who_hangs_beside_another_is_seen() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "hung":
            raise httpx.ReadTimeout("no answer")
        return httpx.Response(503 if request.url.host == "starting" else 200)

    doors = {"processor": "http://well", "processor-2": "http://hung", "janitor": "http://starting"}
    async with client(answer) as http:
        assert await shut(http, doors) == ["processor-2 is not ready at the end", "janitor is not ready at the end"]
