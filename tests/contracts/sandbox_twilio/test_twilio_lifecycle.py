"""What becomes of a send, told by callbacks and seen on the handset."""

import asyncio
import random

import pytest

from sandbox.twilio import Delay, Profile, TwilioSimulator
from sandbox.twilio.fate import draw
from tests.contracts.sandbox_twilio.hooks import Hooks
from tests.contracts.sandbox_twilio.sdk import OURS, USER, Sdk

HX = "HX" + "a" * 32


async def outcome(sim: TwilioSimulator, sid: str) -> tuple[str, int | None]:
    await sim.idle()
    message = sim.account.ledger.messages[sid]
    return message.status, message.error


async def test_window(sim: TwilioSimulator, hooks: Hooks, sdk: Sdk) -> None:
    assert await outcome(sim, await sdk.send()) == ("undelivered", 63016)
    assert hooks.statuses() == ["undelivered"]
    (hook,) = hooks.at("/status")
    assert hook.form["ErrorCode"] == "63016"
    assert "outside" in hook.form["ChannelStatusMessage"]
    await sim.inbound(USER, "hola")
    assert await outcome(sim, await sdk.send()) == ("read", None)
    sim.advance(24 * 3600 + 1)
    assert await outcome(sim, await sdk.send()) == ("undelivered", 63016)
    sim.configure(window_status="failed")
    assert await outcome(sim, await sdk.send()) == ("failed", 63016)
    sim.advance(-24 * 3600 - 1)
    assert sim.handset(USER).texts == ["hi"]


@pytest.mark.parametrize(
    ("template", "variables", "error"),
    [
        ({}, '{"1":"Ana"}', None),
        ({"status": "rejected"}, '{"1":"Ana"}', 63040),
        ({"status": "paused"}, '{"1":"Ana"}', 63041),
        ({"status": "disabled"}, '{"1":"Ana"}', 63042),
        ({"status": "pending"}, '{"1":"Ana"}', 63016),
        ({"kind": "twilio/list-picker"}, '{"1":"Ana"}', 63016),
        ({}, "{}", 63028),
        ({}, '{"1":"a     b"}', 63013),
        ({}, '{"1":"' + "x" * 1024 + '"}', 63021),
    ],
)
async def test_templates_outside_the_window(
    sim: TwilioSimulator, sdk: Sdk, template: dict[str, str], variables: str, error: int | None
) -> None:
    sim.template(HX, "Hola {{1}}", **template)
    made = await sdk(lambda c: c.messages.create(to=USER, from_=OURS, content_sid=HX, content_variables=variables))
    assert str(made.sid).startswith("MM")
    assert (await outcome(sim, str(made.sid)))[1] == error
    assert sim.handset(USER).texts == ([] if error else ["Hola Ana"])


@pytest.mark.parametrize(
    ("trait", "expected"),
    [
        ("not_whatsapp", ("failed", 63003)),
        ("invalid", ("undelivered", 63024)),
        ("experiment", ("undelivered", 63032)),
        ("blocked", ("sent", None)),
        ("offline", ("sent", None)),
        ("receipts", ("delivered", None)),
    ],
)
async def test_people(sim: TwilioSimulator, sdk: Sdk, trait: str, expected: tuple[str, int | None]) -> None:
    sim.contact(USER, **{trait: trait != "receipts"})
    sim.open_window(USER)
    assert await outcome(sim, await sdk.send()) == expected


async def test_marketing_cap_spares_utility(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.contact(USER, marketing_cap=True)
    for category, expected in (("UTILITY", ("read", None)), ("MARKETING", ("undelivered", 63049))):
        sim.template(HX, "Hola", category=category)
        made = await sdk(lambda c: c.messages.create(to=USER, from_=OURS, content_sid=HX))
        assert await outcome(sim, str(made.sid)) == expected


async def test_offline_handset_gets_everything_in_order_later(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.contact(USER, offline=True)
    sim.open_window(USER)
    for n in range(5):
        await sdk.send(str(n))
    await sim.idle()
    assert sim.handset(USER).texts == []
    sim.contact(USER, offline=False)
    await sim.idle()
    assert sim.handset(USER).texts == ["0", "1", "2", "3", "4"]


async def test_one_chat_keeps_its_order(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.configure(sent={"median_ms": 2000, "sigma": 2}, delivered={"median_ms": 2000, "sigma": 2})
    sim.open_window(USER)
    for n in range(30):
        await sdk.send(str(n))
    await sim.idle()
    assert sim.handset(USER).texts == [str(n) for n in range(30)]


async def test_swapped_on_demand(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.configure(invert_probability=1, invert_within_ms=10_000_000, delivered={"median_ms": 100_000, "sigma": 0})
    sim.open_window(USER)
    await asyncio.gather(sdk.send("first"), sdk.send("second"))
    await sim.idle()
    assert sim.handset(USER).texts == [message.body for message in reversed(sim.messages)]


async def test_validity(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.configure(mps=0.02, speed=100)
    sim.open_window(USER)
    first = await sdk.send()
    late = await sdk.send(validity_period=60)
    sim.advance(61)
    assert (await outcome(sim, late)) == ("failed", 30001)
    assert (await outcome(sim, first))[0] == "read"
    sim.advance(-61)


async def test_full_queue(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.configure(mps=0.001, max_queue_s=500)
    await sdk.send()
    assert (await sdk.error(to=USER, from_=OURS, body="hi")).code == 21611


async def test_pair_limit_and_random_errors(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.open_window(USER)
    sim.configure(pair_limit=True, pair_burst=2, pair_every_s=10_000_000)
    sids = [await sdk.send() for _ in range(3)]
    assert [(await outcome(sim, sid))[1] for sid in sids] == [None, None, 63018]
    sim.configure(pair_limit=False, async_errors={63010: 1})
    assert await outcome(sim, await sdk.send()) == ("failed", 63010)
    sim.configure(async_errors={}, locked_numbers=("+14155238886",))
    assert await outcome(sim, await sdk.send()) == ("failed", 63051)


def test_fate_is_drawn_from_the_seed() -> None:
    profile = Profile(read_probability=0.5, async_errors={63010: 0.5}, sent=Delay(median_ms=10))
    fates = [[draw(profile, random.Random(seed)) for seed in range(20)] for _ in range(2)]
    assert fates[0] == fates[1]
    assert len(set(fates[0])) == 20
    assert {fate.reads for fate in fates[0]} == {True, False}


async def test_same_seed_same_trace(sim: TwilioSimulator, sdk: Sdk) -> None:
    async def trace(seed: int) -> list[object]:
        sim.configure(seed=seed, read_probability=0.5, async_errors={63010: 0.3})
        await sim.reset()
        await sim.inbound(USER, "hola", "image")
        for n in range(12):
            await sdk.send(str(n))
        await sim.idle()
        tokens = sorted((d.sid, d.status, d.token) for d in sim.deliveries)
        lives = [(m.sid, [status for status, _ in m.log], m.error) for m in sim.messages]
        return [tokens, lives, sim.handset(USER).texts]

    first = await trace(7)
    assert await trace(7) == first
    assert await trace(8) != first
