"""The control and observation API, over HTTP; and the command line."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from kit.clock import FileClock, SystemClock
from sandbox.twilio import Profile, TwilioSimulator
from sandbox.twilio.__main__ import main
from sandbox.twilio.clock import AdvanceableClock
from sandbox.twilio.ledger import Ledger
from tests.contracts.sandbox_twilio.hooks import Hooks
from tests.contracts.sandbox_twilio.sdk import USER, Sdk

HX = "HX" + "a" * 32
AC = Profile().account_sid


async def test_inbound(control: httpx.AsyncClient, hooks: Hooks) -> None:
    given = {"from": "+34600111222", "body": "hola", "kind": "image", "fields": {"X_New": "1"}}
    told = (await control.post("/inbound", json=given)).json()
    assert told["accepted"]
    assert told["answer"]["http"] == 200
    assert hooks.requests[0].form["MessageSid"] == told["sid"]
    assert hooks.requests[0].form["X_New"] == "1"
    assert (await control.post("/inbound", json={"body": "nobody"})).status_code == 422


async def test_burst(control: httpx.AsyncClient, hooks: Hooks) -> None:
    told = (await control.post("/burst", json={"count": 40, "within_ms": 20, "contacts": 4})).json()
    assert told == {"sent": 40, "accepted": 40}
    assert len({hook.form["From"] for hook in hooks.requests}) == 4


async def test_settings(sim: TwilioSimulator, control: httpx.AsyncClient) -> None:
    changed = (await control.put("/profile", json={"list_lag_ms": 5})).json()
    assert changed["list_lag_ms"] == sim.profile.list_lag_ms == 5
    assert "auth_token" not in changed
    assert (await control.put("/profile", json={"nonsense": 1})).status_code == 422
    person = (await control.put(f"/contacts/{USER}", json={"offline": True, "profile_name": "Eva"})).json()
    assert (person["address"], person["offline"], person["profile_name"]) == (USER, True, "Eva")
    assert (await control.put(f"/contacts/{USER}", json={"tall": True})).status_code == 422
    await control.put(f"/templates/{HX}", json={"body": "Hola {{1}}", "category": "UTILITY"})
    assert sim.account.templates[HX].render({"1": "Eva"}) == "Hola Eva"
    assert (await control.put(f"/templates/{HX}", json={"status": "strange"})).status_code == 422
    await control.put(f"/contacts/{USER}/window", json={"open": True})
    assert sim.account.people.at(USER).windows
    await control.put(f"/contacts/{USER}/window", json={"open": False})
    assert not sim.account.people.at(USER).windows


async def test_faults(control: httpx.AsyncClient, hooks: Hooks) -> None:
    rule = (await control.post("/faults", json={"effect": "drop", "kind": "inbound"})).json()
    assert (rule["effect"], rule["done"]) == ("drop", 0)
    told = (await control.post("/inbound", json={"from": USER, "body": "hola"})).json()
    assert not told["accepted"]
    assert (await control.get("/faults")).json()[0]["done"] == 1
    await control.delete("/faults")
    assert (await control.get("/faults")).json() == []
    assert (await control.post("/faults", json={"effect": "earthquake"})).status_code == 422
    assert not hooks.requests


async def test_observation(sim: TwilioSimulator, control: httpx.AsyncClient, sdk: Sdk) -> None:
    await sim.inbound(USER, "hola")
    sid = await sdk.send("qué tal", status_callback=None)
    await sim.idle()
    ledger = (await control.get("/messages", params={"contact": USER})).json()
    assert [message["direction"] for message in ledger["messages"]] == ["inbound", "outbound-api"]
    assert [status for status, _ in ledger["messages"][1]["log"]] == ["queued", "sent", "delivered", "read"]
    assert [post["http"] for post in ledger["posts"]] == [201]
    deliveries = (await control.get("/deliveries", params={"kind": "status", "sid": sid})).json()
    assert {delivery["http"] for delivery in deliveries} == {200}
    handset = (await control.get(f"/handset/{USER}")).json()
    bubbles = [(b["author"], b["body"], b["tick"], b["auto"]) for b in handset["bubbles"]]
    assert bubbles == [("user", "hola", "delivered", False), ("us", "qué tal", "read", False)]
    assert (await control.get("/handset")).json() == [USER]
    stats = (await control.get("/stats")).json()
    assert stats["counts"]["status.ok"] == 3
    assert stats["latency_ms"]["inbound"]["p50"] > 0
    assert (await control.get("/debugger")).json() == []
    assert (await control.get("/health")).json()["status"] == "ok"


async def test_long_poll(sim: TwilioSimulator, control: httpx.AsyncClient, sdk: Sdk) -> None:
    events = f"/handset/{USER}/events"
    assert (await control.get(events)).json() == {"events": [], "last": 0}
    waiting = asyncio.create_task(control.get(events, params={"wait": 20}))
    while not sim.handset(USER)._waiting:  # noqa: ASYNC110 - the long poll has no event to offer
        await asyncio.sleep(0)
    sim.say(USER, "hola")
    first = (await waiting).json()
    assert [(e["n"], e["event"], e["bubble"]["body"]) for e in first["events"]] == [(1, "bubble", "hola")]
    await sdk.send("qué tal")
    await sim.idle()
    more = (await control.get(events, params={"after": first["last"]})).json()
    assert [event["event"] for event in more["events"]] == ["bubble", "tick"]


async def test_events_of_every_handset_in_one_sequence(sim: TwilioSimulator, control: httpx.AsyncClient) -> None:
    start = sim.account.feed.last
    waiting = asyncio.create_task(control.get("/events", params={"after": start, "wait": 20}))
    while not sim.account.feed._waiting:  # noqa: ASYNC110 - the long poll has no event to offer
        await asyncio.sleep(0)
    sim.say(USER, "hola")
    first = (await waiting).json()
    await sim.inbound("+34600999888", "buenas")
    await sim.idle()
    more = (await control.get("/events", params={"after": first["last"]})).json()
    told = first["events"] + more["events"]
    assert [event["n"] - start for event in told] == [1, 2, 3, 4]
    shown = [(event["address"], event["bubble"]["body"]) for event in told if event["event"] == "bubble"]
    assert shown == [(USER, "hola"), ("whatsapp:+34600999888", "buenas")]
    taken = {event["address"]: event["accepted"] for event in told if event["event"] == "webhook"}
    assert taken == {USER: True, "whatsapp:+34600999888": True}
    assert [one["address"] for one in (await control.get("/contacts")).json()] == [USER, "whatsapp:+34600999888"]
    await control.post("/reset")
    after = (await control.get("/events", params={"after": more["last"], "wait": 20})).json()
    assert [(event["n"] - start, event["event"]) for event in after["events"]] == [(5, "forgotten")]
    ahead = (await control.get("/events", params={"after": start + 9, "wait": 20})).json()
    assert ahead == {"events": [], "last": start + 5}


async def test_a_file_as_the_user_sent_it(control: httpx.AsyncClient) -> None:
    given = {"from": USER, "kind": "image", "media": {"content_type": "image/png", "base64": "aGlsbw=="}}
    sid = (await control.post("/inbound", json=given)).json()["sid"]
    file = await control.get(f"/media/{sid}/0")
    assert (file.content, file.headers["content-type"]) == (b"hilo", "image/png")
    for nothing in (f"/media/{sid}/1", f"/media/{sid}/-1", "/media/MM0/0"):
        assert (await control.get(nothing)).status_code == 404


async def test_one_fault_ends_and_the_other_stays(control: httpx.AsyncClient) -> None:
    first, second = [
        (await control.post("/faults", json={"effect": effect, "kind": "status"})).json()["id"]
        for effect in ("drop", "duplicate")
    ]
    await control.delete(f"/faults/{first}")
    assert [rule["id"] for rule in (await control.get("/faults")).json()] == [second]


async def test_reset(sim: TwilioSimulator, control: httpx.AsyncClient, sdk: Sdk) -> None:
    sim.configure(speed=0.001)
    sim.open_window(USER)
    await sdk.send()
    assert (await control.get("/stats")).json()["pending"]
    await control.post("/reset")
    assert not sim.messages
    assert (await control.get("/stats")).json()["pending"] == 0


async def test_clock_is_shared_through_the_file(control: httpx.AsyncClient, tmp_path: Path) -> None:
    file = tmp_path / "clock"
    clock, other = AdvanceableClock(file), FileClock(file)
    clock.advance(86_400)
    clock.advance(60)
    real = SystemClock().now()
    for one in (clock, other):
        assert 86_460 <= (one.now() - real).total_seconds() < 86_470
    assert "now" in (await control.post("/clock/advance", json={"seconds": 0})).json()


def test_ledgers_are_rings() -> None:
    ledger = Ledger(messages=2, deliveries=2)
    assert ledger.posts.maxlen == ledger.deliveries.maxlen == ledger.debugger.maxlen == 2


async def test_old_messages_leave(hooks: Hooks) -> None:
    profile = Profile(speed=1000, inbound_url=f"{hooks.url}/in", keep_messages=5, keep_contacts=3, keep_bubbles=2)
    async with TwilioSimulator(profile) as small:
        for n in range(20):
            await small.inbound(f"+3460000000{n % 10}", "x", "image")
        ledger = small.account.ledger
        assert (len(ledger.messages), len(ledger.media), len(ledger.by_contact)) == (5, 5, 5)
        assert len(list(small.account.people)) == 3
        assert small.stats()["counts"]["inbound.ok"] == 20


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
async def test_command_line_ends_clean(name: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "sandbox.twilio", "--port", "0", "--control-port", "0", "--speed", "1000"),
        *("--inbound-url", "http://127.0.0.1:9/in#rc=3", "--template", f"{HX}=Hola {{{{1}}}}"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )
    assert process.stdout
    line = (await process.stdout.readline()).decode().split()
    rest, control = line[-3], f"{line[-1]}/_sim"
    async with httpx.AsyncClient(timeout=30) as client:
        told = await client.post(f"{control}/inbound", json={"from": USER, "body": "hola"})
        assert told.json()["answer"]["error"] == "ct"
        await client.post(f"{control}/faults", json={"effect": "hang"})
        # Neither a request that hangs nor a long poll may hold the end up.
        hanging = asyncio.create_task(
            client.get(f"{rest}/2010-04-01/Accounts/{AC}/Messages.json", auth=(AC, "simulated-auth-token"))
        )
        polling = asyncio.create_task(client.get(f"{control}/handset/{USER}/events?after=9&wait=60"))
        while not (await client.get(f"{control}/faults")).json()[0]["done"]:
            pass
        process.send_signal(getattr(signal, name))
        assert await asyncio.wait_for(process.wait(), 2) == 0
        await asyncio.gather(hanging, polling, return_exceptions=True)


def test_command_line_refuses_nonsense(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--template", "greeting=Hola"])
    assert ended.value.code == 2
    assert "greeting=Hola" in capsys.readouterr().err
