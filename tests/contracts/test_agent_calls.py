"""What was said on the phone, fetched from the simulator where nobody told us."""

from collections.abc import AsyncIterator

import pytest

from kit.http import PooledClient
from processor.agent import calls
from processor.agent.calls import CallRecords
from sandbox.elevenlabs import ElevenLabsSimulator
from schemas.documents import CallDocument
from tests.conftest import FakeClock
from tests.unit.processor.states import CONTACT, NOW


@pytest.fixture
async def sim() -> AsyncIterator[ElevenLabsSimulator]:
    async with ElevenLabsSimulator() as running:
        yield running


@pytest.fixture
async def records(sim: ElevenLabsSimulator, clock: FakeClock) -> AsyncIterator[CallRecords]:
    http = PooledClient(concurrency=2)
    yield CallRecords(sim.url, "sk_sim", http, clock)
    await http.stop()


def known(conversation_id: str | None, **fields: str) -> CallDocument:
    return CallDocument(id="call_1", contact=CONTACT, conversation_id=conversation_id, at=NOW, **fields)


async def finished(sim: ElevenLabsSimulator) -> str:
    call = sim.call(CONTACT, summary="Pidió cita.", transcript=[{"role": "user", "message": "Quiero una cita"}])
    await sim.clock.advance(10)
    return call.conversation_id


async def test_summary_and_lines_are_fetched(sim: ElevenLabsSimulator, records: CallRecords) -> None:
    found = await records.completed(known(await finished(sim)))
    assert found.summary == "Pidió cita."
    assert [(line.role, line.message) for line in found.transcript or ()] == [("user", "Quiero una cita")]
    assert found.agent_id == "agent_sandbox"


async def test_the_whole_conversation_where_the_summary_fails(sim: ElevenLabsSimulator, records: CallRecords) -> None:
    name = await finished(sim)
    sim.fault("http", "rest.summary", status=500)
    assert (await records.completed(known(name))).summary == "Pidió cita."


@pytest.mark.parametrize("call", [known(None), known("conv_x", summary="la sé")], ids=["no id", "known"])
async def test_what_need_not_be_fetched_is_not(
    sim: ElevenLabsSimulator, records: CallRecords, call: CallDocument
) -> None:
    assert await records.completed(call) is call
    assert sim.world.stats.counts["rest"] == 0


async def test_what_is_not_there_yet_is_asked_for_later(
    sim: ElevenLabsSimulator, records: CallRecords, clock: FakeClock
) -> None:
    live = sim.call(CONTACT, summary="Pidió cita.", live=True)
    call = known(live.conversation_id)
    assert (await records.completed(call)).summary is None
    asked = sim.world.stats.counts["rest"]
    assert (await records.completed(call)).summary is None
    assert sim.world.stats.counts["rest"] == asked
    clock.advance(3)
    await records.completed(call)
    assert sim.world.stats.counts["rest"] == asked * 2


@pytest.mark.parametrize("kind", ["accept_hang", "malformed_json", "http"])
async def test_a_record_that_cannot_be_had_costs_little(
    sim: ElevenLabsSimulator, records: CallRecords, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "WAIT_S", 0.2)
    sim.fault(kind, "rest.any", times=None, ms=1000)
    call = known(await finished(sim))
    assert await records.completed(call) == call
