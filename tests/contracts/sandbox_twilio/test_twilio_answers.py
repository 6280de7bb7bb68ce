"""What the user gets to see because of how a webhook was answered."""

import pytest

from sandbox.twilio import TwilioSimulator
from tests.contracts.sandbox_twilio.hooks import Answer, Hooks
from tests.contracts.sandbox_twilio.sdk import USER

TWIML = b"<Response><Message>one</Message><Message><Body>two</Body></Message></Response>"


@pytest.mark.parametrize(
    ("answer", "texts", "codes"),
    [
        ((200, "text/xml", b"<Response/>"), [], []),
        ((200, "application/xml; charset=utf-8", b"<Response></Response>"), [], []),
        ((204, None, b""), [], []),
        ((200, "text/plain; charset=utf-8", b"OK"), ["OK"], []),
        ((200, "text/xml", TWIML), ["one", "two"], []),
        ((200, "application/json", b'"OK"'), [], [12300]),
        ((200, None, b"OK"), [], [12300]),
        ((200, "text/xml", b"<Response>"), [], [12100]),
        ((200, "text/xml", b"<Other/>"), [], [12200]),
        ((200, "text/xml", b"<Response/>" + b" " * 65536), [], [11750]),
        ((403, None, b""), [], [11200]),
        ((302, None, b""), [], [11200]),
    ],
)
async def test_answers(sim: TwilioSimulator, hooks: Hooks, answer: Answer, texts: list[str], codes: list[int]) -> None:
    hooks.answer = lambda hook: answer if hook.path == "/in" else (204, None, b"")
    received = await sim.inbound(USER, "hola")
    await sim.idle()
    assert sim.handset(USER).texts == texts
    assert [entry["code"] for entry in sim.debugger] == codes
    assert received.accepted is not bool(codes)
    assert [bubble.auto for bubble in sim.handset(USER).replies] == [answer[2] == b"OK"] * len(texts)


async def test_status_answers_never_reach_the_user(sim: TwilioSimulator, hooks: Hooks) -> None:
    hooks.answer = lambda hook: (200, "text/plain", b"once" if hook.path == "/in" else b"never")
    await sim.inbound(USER, "hola")
    await sim.idle()
    assert sim.handset(USER).texts == ["once"]


async def test_a_loop_of_replies_is_cut(sim: TwilioSimulator, hooks: Hooks) -> None:
    hooks.answer = lambda _: (200, "text/plain", b"again")
    for _ in range(20):
        await sim.inbound(USER, "hola")
    await sim.idle()
    assert sum(message.error == 14107 for message in sim.messages) == 4


async def test_advanced_opt_out(sim: TwilioSimulator, hooks: Hooks) -> None:
    await sim.inbound(USER, "STOP")
    assert "OptOutType" not in hooks.requests[-1].form
    sim.configure(advanced_opt_out=True)
    await sim.inbound(USER, " stop ")
    told = [one.form for one in hooks.requests if one.form.get("Body") == " stop "]  # the first may be repeated late
    assert told[-1]["OptOutType"] == "STOP"
    assert sim.account.people.at(USER).traits.opted_out
    await sim.inbound(USER, "start")
    await sim.idle()
    assert not sim.account.people.at(USER).traits.opted_out
    assert len(sim.handset(USER).texts) == 2
