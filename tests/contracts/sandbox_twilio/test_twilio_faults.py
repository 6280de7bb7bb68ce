"""Every fault on demand, as the SDK or our ingress meets it."""

import asyncio

import httpx
import pytest
from twilio.base.exceptions import TwilioException, TwilioRestException, TwilioServiceException

from sandbox.twilio import TwilioSimulator
from sandbox.twilio.faults import RestEffect, WebhookEffect
from tests.contracts.sandbox_twilio.hooks import Hooks
from tests.contracts.sandbox_twilio.sdk import OURS, USER, Sdk

FORM = {"To": USER, "From": OURS, "Body": "hi"}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("http", [429, 500, 503, 504])
async def test_error_answers_before_and_after_creating(
    sim: TwilioSimulator, rest: httpx.AsyncClient, http: int, after: bool
) -> None:
    sim.fault("error", path="Messages", http=http, after=after, retry_after=3)
    answer = await rest.post("/Messages.json", data=FORM)
    assert answer.status_code == answer.json()["status"] == http
    assert answer.headers["retry-after"] == "3"
    assert len(sim.messages) == after
    assert (await rest.post("/Messages.json", data=FORM)).status_code == 201
    assert [(post.http, post.fault) for post in sim.posts] == [(http, "error"), (201, None)]


async def test_what_the_sdk_makes_of_them(sim: TwilioSimulator, sdk: Sdk) -> None:
    expected: list[tuple[RestEffect, type[Exception]]] = [
        ("html", TwilioRestException),
        ("problem", TwilioServiceException),
        ("redirect", TwilioException),
        ("truncate", ValueError),
        ("reset", OSError),
    ]
    for effect, error in expected:
        sim.fault(effect, method="POST")
        with pytest.raises(error):
            await sdk.send()
    assert len(sim.messages) == 1
    assert [post.http for post in sim.posts] == [502, 500, 302, 201, None]


@pytest.mark.parametrize("effect", ["hang", "reset", "delay"])
async def test_lost_answers(sim: TwilioSimulator, rest: httpx.AsyncClient, effect: RestEffect) -> None:
    sim.fault(effect, after=True, seconds=1_000_000)
    with pytest.raises(httpx.TransportError):
        await rest.post("/Messages.json", data=FORM, timeout=0.2)
    assert len(sim.messages) == 1
    assert (await rest.get("/Messages.json")).status_code == 200


async def test_refused_connections(sim: TwilioSimulator, rest: httpx.AsyncClient) -> None:
    sim.configure(speed=1)
    await rest.get("/Messages.json")
    sim.fault("refuse", seconds=0.2)
    refused = 0
    while True:
        try:
            await rest.get("/Messages.json")
        except httpx.TransportError:
            refused += 1
            await asyncio.sleep(0)
        else:
            if refused:
                break
    assert refused


async def test_concurrency_cap(sim: TwilioSimulator, rest: httpx.AsyncClient) -> None:
    sim.configure(max_concurrency=1, speed=1)
    sim.fault("delay", seconds=0.2)
    answers = await asyncio.gather(*(rest.post("/Messages.json", data=FORM) for _ in range(3)))
    assert 429 in {answer.status_code for answer in answers}
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == 20429
    assert len(sim.messages) == sum(answer.status_code == 201 for answer in answers)


async def test_callback_before_the_answer(sim: TwilioSimulator, hooks: Hooks, rest: httpx.AsyncClient) -> None:
    sim.open_window(USER)
    sim.fault("callback_first")
    answer = await rest.post("/Messages.json", data=FORM)
    assert answer.json()["sid"] in {hook.form["MessageSid"] for hook in hooks.requests}


async def test_rules_match_count_and_forget(sim: TwilioSimulator, rest: httpx.AsyncClient) -> None:
    sim.fault("error", body="^hi$", to=r"\+346", nth=2, times=2)
    codes = [(await rest.post("/Messages.json", data=FORM)).status_code for _ in range(4)]
    assert codes == [201, 500, 500, 201]
    sim.fault("error", probability=0.5, times=None, seed=3)
    codes = [(await rest.post("/Messages.json", data=FORM)).status_code for _ in range(20)]
    assert set(codes) == {201, 500}


@pytest.mark.parametrize(
    ("effect", "copies", "tokens"), [("duplicate", 2, 1), ("replay", 2, 2), ("drop", 0, 0), ("hold", 1, 1)]
)
async def test_inbound_copies(
    sim: TwilioSimulator, hooks: Hooks, effect: WebhookEffect, copies: int, tokens: int
) -> None:
    sim.fault(effect, kind="inbound", seconds=5)
    received = await sim.inbound(USER, "hola")
    await sim.idle()
    assert [hook.form["MessageSid"] for hook in hooks.requests] == [received.sid] * copies
    assert len({hook.headers["i-twilio-idempotency-token"] for hook in hooks.requests}) == tokens
    assert sim.handset(USER).bubbles[0].body == "hola"


@pytest.mark.parametrize("effect", ["wrong_signature", "http_signature", "old_token"])
async def test_bad_signatures(sim: TwilioSimulator, hooks: Hooks, effect: WebhookEffect) -> None:
    public = "https://hooks.example.com"
    sim.configure(inbound_url=f"{public}/in", connect={public: hooks.url})
    sim.fault(effect)
    await sim.inbound(USER, "bad")
    await sim.inbound(USER, "good")
    authentic = [hook.authentic(sim.profile.auth_token, f"{public}/in") for hook in hooks.requests]
    assert authentic == [False, True]


async def test_reversed_and_shuffled(sim: TwilioSimulator, hooks: Hooks) -> None:
    sim.fault("reverse", kind="inbound", times=4, count=4, seconds=1_000_000)
    await asyncio.gather(*(sim.inbound(USER, str(n)) for n in range(4)))
    assert [hook.form["Body"] for hook in hooks.requests] == ["3", "2", "1", "0"]
    hooks.forget()
    sim.fault("shuffle", kind="inbound", times=8, count=8, seconds=1_000_000, seed=5)
    await asyncio.gather(*(sim.inbound(USER, str(n)) for n in range(8)))
    bodies = [hook.form["Body"] for hook in hooks.requests]
    assert sorted(bodies) == [str(n) for n in range(8)]
    assert bodies != sorted(bodies)


async def test_lying_callbacks(sim: TwilioSimulator, hooks: Hooks, sdk: Sdk) -> None:
    sim.open_window(USER)
    sim.fault("late_failed", status="read", seconds=2)
    sim.fault("unknown_sid", status="sent")
    sid = await sdk.send()
    await sim.idle()
    assert hooks.statuses(sid)[-1] == "failed"
    assert len({hook.form["MessageSid"] for hook in hooks.requests}) == 2
    assert sim.messages[0].status == "read"
    assert all(hook.authentic(sim.profile.auth_token) for hook in hooks.requests)


async def test_held_sent_comes_after_delivered(sim: TwilioSimulator, hooks: Hooks, sdk: Sdk) -> None:
    sim.open_window(USER)
    sim.fault("hold", status="^sent$", seconds=60)
    sid = await sdk.send()
    await sim.idle()
    assert hooks.statuses(sid) == ["delivered", "read", "sent"]


async def test_fallback_only_and_outage(sim: TwilioSimulator, hooks: Hooks) -> None:
    sim.configure(fallback_url=f"{hooks.url}/fallback")
    sim.fault("fallback_only", kind="inbound")
    assert (await sim.inbound(USER, "hola")).accepted
    assert [hook.path for hook in hooks.requests] == ["/fallback"]
    sim.configure(fallback_url=None)
    sim.fault("outage", seconds=1_000_000)
    assert not (await sim.inbound(USER, "lost")).accepted
    assert len(hooks.requests) == 1
