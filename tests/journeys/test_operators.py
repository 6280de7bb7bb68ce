"""What an operator types at night, in a running sandbox: explain, replay, dead letters, export, erase."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from pymongo import AsyncMongoClient

from kit.mongo import INDEXES
from sandbox.layout import Layout
from tests.journeys.test_story import hilo, output, sandbox
from tests.running import eventually

pytestmark = [pytest.mark.journey, pytest.mark.timeout(240)]
CLIENT = "+34600111222"
SECRET, NUMBER = "mi clave es 4711", "600 111 222"
BAD = b'{"phoneNumber": "12", "clientName": "Ana"}'


async def document(layout: Layout, *command: str) -> Any:
    code, out = await output(*command, **layout.environment("ops"))
    assert code == 0, out
    return json.loads(out)


async def refused(layout: Layout, *command: str) -> str:
    code, out = await output(*command, **layout.environment("ops"))
    assert (code, "Traceback" in out) == (1, False), out
    return out


async def wrote(layout: Layout, text: str) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        url = f"{layout.url('twilio_control')}/_sim/inbound"
        answer = (await http.post(url, json={"from": CLIENT, "body": text})).raise_for_status()
    return str(answer.json()["sid"])


async def produce(layout: Layout, count: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=layout.kafka_servers)
    await producer.start()
    for number in range(count):
        await producer.send_and_wait("call.completed", BAD, key=b"k%d" % number)
    await producer.stop()


async def test_an_operators_night(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with sandbox(state) as (_, layout):
        sid = await wrote(layout, f"{SECRET}, llámame al {NUMBER}")
        await _explained(layout, sid)
        await _letters(layout)
        await _interrupted(layout)
        await _erased(layout, sid)


async def _explained(layout: Layout, sid: str) -> None:
    async def read() -> bool:
        code, out = await output("explain", sid, "--json", **layout.environment("ops"))
        return code == 0 and [one["status"] for one in json.loads(out)["sends"]] == ["read"]

    await eventually(read, "the answer is read", within=60)
    replayed = await document(layout, "replay", "--contact", CLIENT, "--json", "--check")
    assert (replayed["counts"], SECRET in json.dumps(replayed), NUMBER in json.dumps(replayed)) == (
        {"same": 1},
        True,
        False,
    )
    told = await document(layout, "explain", sid, "--json")
    (send,) = told["sends"]
    assert (told["records"][0]["text"].startswith(SECRET), told["turn"]["outcome"]) == (True, "replied")
    assert [one["status"] for one in send["statuses"]] == ["sent", "delivered", "read"]
    assert told["records"][0]["logged_at"]
    for name in (send["id"], send["sid"], told["turn"]["id"]):
        again = await document(layout, "explain", name, "--json")
        assert again["turn"] == told["turn"]
    code, tree = await output("explain", sid, **layout.environment("ops"))
    assert (code, CLIENT in tree, "delivered" in tree) == (0, False, True)
    chat = (await output("conversation", CLIENT, **layout.environment("ops")))[1]
    for shown in (tree, chat, json.dumps(await document(layout, "export", CLIENT), ensure_ascii=False)):
        assert (SECRET in shown, NUMBER in shown) == (True, False)
    assert CLIENT in (await output("explain", sid, "--reveal", **layout.environment("ops")))[1]
    assert "no turn, event or send has this id" in await refused(layout, "explain", "SM_nobody")


async def _letters(layout: Layout) -> None:
    await produce(layout, 1)
    first = await _listed(layout, 1)
    assert (first[0]["reason"], first[0]["redrives"]) == ("unusable_address", 0)
    shown = await document(layout, "deadletters", "show", first[0]["letter"], "--json")
    assert shown["payload"] == BAD.decode()
    assert (await document(layout, "deadletters", "redrive", first[0]["letter"], "--json"))["settled"]

    async def back() -> bool:
        return [one["redrives"] for one in await _listed(layout)] == [1]

    await eventually(back, "it failed again, and comes back with its count", within=30)
    await document(layout, "deadletters", "drop", "--all", "--because", "a test", "--json")
    assert await _listed(layout) == []
    assert "no such letter" in await refused(layout, "deadletters", "show", "99-99")
    assert "is no time" in await refused(layout, "deadletters", "list", "--since", "yesterday")
    assert "no letters" in await refused(layout, "deadletters", "redrive", "--reason", "nobody's")


async def _listed(layout: Layout, count: int = 0) -> list[dict[str, Any]]:
    async def there() -> bool:
        return len((await document(layout, "deadletters", "list", "--json"))["letters"]) >= count

    await eventually(there, f"{count} letters", within=30)
    letters: list[dict[str, Any]] = (await document(layout, "deadletters", "list", "--json"))["letters"]
    return letters


async def _interrupted(layout: Layout) -> None:
    """Ctrl-C in the middle: each letter is either put back and marked, or untouched."""
    await produce(layout, 4)
    await _listed(layout, 4)
    command = ("deadletters", "redrive", "--all", "--yes", "--rate", "0.02")
    process = await hilo(*command, **layout.environment("ops"))

    async def one_is_back() -> bool:
        return 1 in [one["redrives"] for one in await _listed(layout)]

    await eventually(one_is_back, "the first is put back", within=60)
    process.send_signal(signal.SIGINT)
    out, _ = await process.communicate()
    assert (process.returncode, b"not come to" in out) == (130, True), out
    put_back = int(out.split()[0])
    await asyncio.gather(_listed(layout, 4))  # each that was put back comes back, each other is still there
    letters = await _listed(layout)
    assert sorted(one["redrives"] for one in letters) == [0] * (4 - put_back) + [1] * put_back
    await document(layout, "deadletters", "drop", "--all", "--because", "a test", "--yes", "--json")


async def _erased(layout: Layout, sid: str) -> None:
    exported = json.dumps(await document(layout, "export", CLIENT), ensure_ascii=False)
    assert (SECRET in exported, CLIENT in exported) == (True, False)
    assert CLIENT in json.dumps(await document(layout, "export", CLIENT, "--reveal"))
    assert "nothing was done" in await refused(layout, "erase", CLIENT)
    (receipt,) = (await document(layout, "erase", CLIENT, "--yes", "--json"))["receipts"]
    assert (receipt["deleted"]["messages"], receipt["stripped"]) == (2, {"turns": 1, "sends": 1})
    mongo: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(layout.mongodb_uri)
    async with mongo:
        names = await mongo["hilo"].list_collection_names()
        left = repr([await mongo["hilo"][name].find({}).to_list(None) for name in names])
    assert set(names) == set(INDEXES)
    assert [one for one in (CLIENT, CLIENT[1:], NUMBER, SECRET, "4711", "Ana") if one in left] == []
    assert sid in left, "its place is kept"
    assert "nothing is stored" in await refused(layout, "export", CLIENT)
    assert "nothing is stored" in await refused(layout, "erase", CLIENT, "--yes")
    assert (await document(layout, "explain", sid, "--json"))["turn"]["outcome"] == "erased"
    told = await document(layout, "replay", "--contact", CLIENT, "--json", "--check")
    assert (set(told["counts"]), [one for one in told["results"] if "now" in one]) == ({"erased"}, [])
