"""Every code that Twilio may answer or tell later, from the refusal to what others see of it."""

import pytest

from kit.errors import TwilioDown
from schemas.events import AddressRefused
from schemas.notices import MessageUncertain, MessageUndeliverable
from sender.outcomes import TABLE, UNKNOWN, Outcome, label
from tests.contracts.runs import run_of
from tests.contracts.test_delivery import SID, TURN, USER, World, ask, delivery, http, sim, world

__all__ = ["http", "sim", "world"]  # fixtures

ROWS = [*sorted(TABLE.items()), (63999, UNKNOWN)]
pytestmark = [
    pytest.mark.stack,
    pytest.mark.expects_errors,  # `fix` logs one
    pytest.mark.parametrize(("code", "outcome"), ROWS, ids=[str(code) for code, _ in ROWS]),
]


def alarms(world: World, code: int) -> float:
    return world.tools.metrics.registry.get_sample_value("hilo_send_alarms_total", {"code": label(code)}) or 0.0


async def test_refused_at_once(world: World, code: int, outcome: Outcome) -> None:
    world.sim.template(SID, "Sobre: {{1}}")
    world.reengage = SID
    world.sim.fault("error", method="POST", http=400, code=code, body="uno", times=1 if holds(outcome) else None)
    if holds(outcome):
        with pytest.raises(TwilioDown) as held:
            await world.handler.handle(run_of(delivery(ask(world, "uno"))))
        assert held.value.after == (outcome.delays[0] if outcome.action == "hold" and outcome.delays else None)
    await world.deliver(ask(world, "uno"), patience=500)
    row = await world.row()
    if holds(outcome):
        assert (row.state, world.shown, world.box.sent) == ("accepted", ["uno"], [])
        assert alarms(world, code) == outcome.alarm
    elif outcome.action == "template":
        assert (row.state, world.shown, world.box.sent) == ("accepted", ["Sobre: uno"], [])
    else:
        assert (row.state, world.created, len(row.attempts)) == ("rejected", 0, 1 + len(outcome.delays))
        told(world, code, outcome)


async def test_failed_later(world: World, code: int, outcome: Outcome) -> None:
    world.sim.template(SID, "Sobre: {{1}}")
    world.reengage = SID
    await world.deliver(ask(world, "uno", "dos", not_after=None))
    times = 0
    while True:
        await world.status(world.sim.messages[-1].sid, "undelivered", code=code, number=2)
        if not world.box.woken:
            break
        times += 1
        await world.wake(patience=2000)
    assert (times, world.created) == (len(outcome.delays), 2 + len(outcome.delays))
    assert [one.body for one in world.sim.messages[2:]] == ["dos"] * times
    told(world, code, outcome, part=2, alarmed=1 + times if outcome.action == "halt" else 1)


def holds(outcome: Outcome) -> bool:
    return outcome.action in {"halt", "hold"}


def told(world: World, code: int, outcome: Outcome, part: int = 1, alarmed: int = 1) -> None:
    """One notice, and what the action asks for besides."""
    notices = [one for one in world.box.notices if isinstance(one, MessageUndeliverable)]
    assert [(one.send_id, one.code) for one in notices] == [(f"{TURN}-{part}", code)]
    refused = [one for one in world.box.notices if isinstance(one, AddressRefused)]
    wanted = [AddressRefused(address=USER, code=code)] if outcome.action in {"suppress", "opt_out"} else []
    assert refused == wanted
    uncertain = [one for one in world.box.notices if isinstance(one, MessageUncertain)]
    assert len(uncertain) == (outcome.action == "ask")
    assert (alarms(world, code) >= alarmed) if outcome.alarm else (alarms(world, code) == 0)
