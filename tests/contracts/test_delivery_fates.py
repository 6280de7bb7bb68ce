"""Take-over, lost answers, failures told afterwards, templates and pauses, against the simulator."""

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from kit.errors import StoreDown, TwilioDown, Wait
from kit.ids import digest, fence_id
from kit.lanes import Run
from kit.mongo import Database
from schemas.events import AddressRefused, EraseSends, FenceRaised, Part, SendRequested, Template
from schemas.notices import ConversationTakenOver, MessageExpired, MessageUncertain, MessageUndeliverable
from sender.fences import Fences
from sender.posting import Poster
from sender.reconcile import Reconciliation
from tests.contracts.runs import run_of
from tests.contracts.test_delivery import (
    OURS,
    SID,
    TURN,
    USER,
    World,
    ask,
    delivery,
    http,
    sim,
    world,
)

__all__ = ["http", "sim", "world"]  # fixtures

pytestmark = pytest.mark.stack


def fence(seq: int = 2, turn: str = "turn_2", **fields: Any) -> FenceRaised:
    return FenceRaised(**{"contact": USER, "seq": seq, "turn": turn, "reason": "takeover", **fields})


def behind(request: SendRequested, *events: Any) -> Run[Any]:
    run = run_of(delivery(request))
    run.behind = tuple(delivery(event) for event in events)  # type: ignore[misc]
    return run


# Take-over and erasure


async def test_below_a_fence_nothing_is_posted_and_the_take_over_is_told_once(world: World) -> None:
    for _ in range(3):
        await world.deliver(fence())
    await world.deliver(ask(world))
    assert (world.shown, world.created) == ([], 0)
    row = await world.row()
    assert (row.state, row.error_message) == ("withheld", "fenced")
    assert [type(one) for one in world.box.notices] == [ConversationTakenOver, MessageUndeliverable]
    assert len([one for one in world.box.sent if isinstance(one.data, ConversationTakenOver)]) == 1


async def test_what_is_not_older_than_the_fence_is_shown(world: World) -> None:
    await world.deliver(fence(seq=5))
    await world.deliver(fence(seq=3, turn="turn_1"))
    await world.deliver(ask(world, "ya le atiendo", seq=5, purpose="operator"))
    assert world.shown == ["ya le atiendo"]
    stored = await world.database.sends.find_one({"_id": fence_id(USER)})
    assert stored
    assert (stored["fence"], stored["told"]) == (5, ["turn_2", "turn_1"])


@pytest.mark.parametrize("reason", ["opt_out", "erase"])
async def test_another_fence_is_no_take_over(world: World, reason: str) -> None:
    await world.deliver(fence(reason=reason))
    await world.deliver(ask(world))
    assert (world.shown, [type(one) for one in world.box.notices]) == ([], [MessageUndeliverable])


async def test_a_fence_that_is_raised_before_the_bytes_go_out_holds_them(world: World) -> None:
    """Between the intent and the POST: the last look sees it."""
    intended = world.ledger.intend

    async def intend(send: Any, **given: Any) -> Any:
        taken = await intended(send, **given)
        await Fences(world.database, world.ledger, world.teller)._keep(USER, 2)
        return taken

    world.ledger.intend = intend  # type: ignore[method-assign]
    await world.deliver(ask(world))
    assert (world.created, (await world.row()).state) == (0, "withheld")


async def test_a_take_over_waits_for_a_lease_that_another_process_holds(world: World) -> None:
    send = world.handler._new(ask(world, "uno"), ask(world, "uno").parts[0])
    assert await world.ledger.intend(send)
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(fence())))
    assert world.box.sent == []
    world.sim.advance(15)
    await world.handler.handle(run_of(delivery(fence())))
    assert [type(one) for one in world.box.notices] == [ConversationTakenOver]


async def test_a_take_over_that_waits_in_the_lane_ends_the_reply(world: World) -> None:
    request = ask(world)
    await world.settle(lambda: world.handler.handle(behind(request, fence())))
    assert (world.created, (await world.row()).error_message) == (0, "fenced")


async def test_a_take_over_does_not_wait_long_for_an_answer_that_is_lost(world: World) -> None:
    world.sim.fault("reset", method="POST")
    request, began = ask(world), world.clock.now()
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(request)))
    await world.settle(lambda: world.handler.handle(behind(request, fence())))
    assert timedelta(seconds=15) <= world.clock.now() - began < timedelta(seconds=20)
    assert (world.created, (await world.row()).state) == (0, "uncertain")


async def test_an_erased_contact_leaves_id_and_state_and_is_never_written_to(world: World) -> None:
    request = ask(world, "uno")
    await world.deliver(request)
    await world.deliver(EraseSends(contact=USER, seq=2))
    stored = await world.database.sends.find_one({"_id": f"{TURN}-1"})
    assert stored
    assert USER not in str(stored)
    assert (stored["state"], stored["contact"], "sid" in stored) == ("accepted", f"erased_{digest(USER)}", False)
    await world.status(world.sim.messages[0].sid, "delivered")
    await world.deliver(request)
    await world.deliver(ask(world, "uno", "dos"))
    assert (world.shown, world.created) == (["uno"], 1)
    assert USER not in str(await world.database.sends.find_one({"_id": f"{TURN}-1"}))


@pytest.mark.parametrize(("name", "code"), [("delivered", None), ("undelivered", 63012), ("failed", 63024)])
async def test_a_late_status_of_an_erased_contact_is_a_strangers(world: World, name: str, code: int | None) -> None:
    """Also in the process that erased the row itself, and remembers what it wrote last."""
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "sent")
    await world.deliver(EraseSends(contact=USER, seq=2))
    before, told = await world.database.sends.find_one({"_id": f"{TURN}-1"}), len(world.box.sent)
    await world.status(world.sim.messages[0].sid, name, code=code)
    assert await world.database.sends.find_one({"_id": f"{TURN}-1"}) == before
    assert len(world.box.sent) == told


# An answer that is lost


async def test_an_answer_lost_twice_is_uncertain_and_told(world: World) -> None:
    world.sim.fault("reset", after=True, method="POST", times=None)
    world.sim.configure(list_lag_ms=10_000_000)
    await world.deliver(ask(world, "uno", "dos"))
    assert world.created == 2
    assert [(await world.row(n)).state for n in (1, 2)] == ["uncertain", "withheld"]
    assert [one.reason for one in world.box.notices if isinstance(one, MessageUncertain)] == [
        "posted_again",
        "answer_lost",
    ]
    await world.status(world.sim.messages[1].sid, "delivered")
    assert ((await world.row()).state, (await world.row()).status) == ("accepted", "delivered")


async def test_twilios_list_is_searched_at_growing_intervals(world: World) -> None:
    world.sim.fault("reset", method="POST")
    began = world.clock.now()
    asked: list[float] = []
    listed = world.twilio.list_to

    async def list_to(**given: Any) -> Any:
        asked.append((world.clock.now() - began).total_seconds())
        return await listed(**given)

    world.twilio.list_to = list_to  # type: ignore[method-assign]
    await world.deliver(ask(world, "uno"))
    assert [round(one / 5) * 5 for one in asked] == [5, 15, 45, 60]
    assert world.shown == ["uno"]


async def test_a_crash_after_the_intent_is_asked_about_and_posted_again_after_a_minute(world: World) -> None:
    send = world.handler._new(ask(world, "uno"), ask(world, "uno").parts[0])
    assert await world.ledger.intend(send)
    began = world.clock.now()
    await world.deliver(ask(world, "uno"))
    assert world.clock.now() - began >= timedelta(seconds=60)
    assert (world.shown, (await world.row()).posts, (await world.row()).repeats) == (["uno"], 2, 1)


async def test_a_lost_answer_of_a_reply_that_became_stale_is_uncertain(world: World) -> None:
    world.sim.fault("reset", method="POST")
    await world.deliver(ask(world, "uno", not_after=world.clock.now() + timedelta(seconds=10)))
    assert (world.created, (await world.row()).state) == (0, "uncertain")


async def test_a_callback_right_before_the_bytes_of_a_repeat_holds_them(world: World) -> None:
    """Callback and list were late, and the callback comes between the second intent and its POST."""
    world.sim.fault("reset", after=True, method="POST")
    world.sim.configure(list_lag_ms=10_000_000)
    intended = world.ledger.intend

    async def intend(send: Any, **given: Any) -> Any:
        taken = await intended(send, **given)
        if taken and taken.posts == 2:
            await world.status(world.sim.messages[0].sid, "sent")
        return taken

    world.ledger.intend = intend  # type: ignore[method-assign]
    await world.deliver(ask(world, "uno"))
    row = await world.row()
    assert (world.created, row.state, row.sid, row.posts) == (1, "accepted", world.sim.messages[0].sid, 2)


# A process that was paused


@pytest.mark.parametrize(("pause", "posts"), [(4, 1), (6, 2), (100, 2)])
async def test_a_process_paused_after_its_intent_does_not_post_late(world: World, pause: float, posts: int) -> None:
    intended = world.ledger.intend
    paused: list[float] = []

    async def intend(send: Any, **given: Any) -> Any:
        taken = await intended(send, **given)
        if not paused:
            paused.append(pause)
            world.sim.advance(pause)
        return taken

    world.ledger.intend = intend  # type: ignore[method-assign]
    await world.deliver(ask(world, "uno"))
    assert (world.shown, world.created, (await world.row()).posts) == (["uno"], 1, posts)
    assert world.box.sent == []


async def test_a_process_that_was_overtaken_posts_nothing(world: World) -> None:
    intended = world.ledger.intend

    async def intend(send: Any, **given: Any) -> Any:
        taken = await intended(send, **given)
        world.ledger.intend = intended  # type: ignore[method-assign]
        world.sim.advance(100)
        await world.deliver(ask(world, "uno"))
        return taken

    world.ledger.intend = intend  # type: ignore[method-assign]
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(ask(world, "uno"))))
    assert (world.shown, world.created) == (["uno"], 1)


async def test_a_store_that_is_away_right_before_the_bytes_posts_nothing(world: World) -> None:
    async def away(_: object) -> None:
        raise StoreDown("away")

    poster = world.poster
    poster._still = away  # type: ignore[method-assign, assignment]
    send = world.handler._new(ask(world, "uno"), ask(world, "uno").parts[0])
    with pytest.raises(StoreDown):
        await poster.post(send, {"Body": "uno"})
    assert world.created == 0


# Failures told afterwards


@pytest.mark.parametrize(("code", "refused"), [(63003, True), (63024, True), (63032, False), (None, False)])
async def test_a_failure_by_callback_is_told_once(world: World, code: int | None, refused: bool) -> None:
    await world.deliver(ask(world, "uno"))
    for _ in range(3):
        await world.status(world.sim.messages[0].sid, "undelivered", code=code)
    first, *rest = [one.data for one in world.box.sent]
    assert isinstance(first, MessageUndeliverable)
    assert (first.code, first.send_id) == (code, f"{TURN}-1")
    assert rest == ([AddressRefused(address=USER, code=code or 0)] if refused else [])


@pytest.mark.expects_errors
async def test_a_number_that_is_halted_holds_nobody_but_its_own(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "failed", code=63001)
    send = world.handler._new(ask(world, "dos"), ask(world, "dos").parts[0])
    with pytest.raises(Wait):  # and not TwilioDown, which stops every number's lanes
        await world.handler._poster.post(send, {"Body": "dos"})
    assert world.created == 1


@pytest.mark.expects_errors
async def test_who_waits_for_a_halted_number_writes_nothing(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "failed", code=63001)
    other = ask(world, contact="+34600111333", turn="turn_2", parts=[Part(send_id="turn_2-1", text="dos")])
    for _ in range(3):
        with pytest.raises(Wait, match="this number sends nothing"):
            await world.handler.handle(run_of(delivery(other)))
    assert await world.database.sends.count_documents({"contact": other.contact}) == 0


@pytest.mark.expects_errors
@pytest.mark.parametrize("code", [63001, 63005])
async def test_a_failure_that_needs_a_person_raises_the_alarm(world: World, code: int) -> None:
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "failed", code=code)
    value = world.tools.metrics.registry.get_sample_value("hilo_send_alarms_total", {"code": str(code)})
    assert value == 1


async def test_a_part_that_failed_afterwards_ends_its_reply(world: World) -> None:
    request = ask(world)
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(request)))
    await world.status(world.sim.messages[0].sid, "failed", code=63032)
    await world.deliver(request)
    assert world.created == 1
    assert [(await world.row(n)).error_message for n in (2, 3)] == ["earlier_part"] * 2
    assert [type(one) for one in world.box.notices] == [MessageUndeliverable]


async def test_the_next_part_follows_the_sent_callback_or_five_seconds(world: World) -> None:
    request = ask(world)
    began = world.clock.now()
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(request)))
    await world.status(world.sim.messages[0].sid, "sent")
    world.sim.advance(1)
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(request)))
    assert world.created == 2
    await world.deliver(request)
    assert world.shown == ["uno", "dos", "tres"]
    gaps = [(await world.row(n)).attempts[0].at - began for n in (1, 2, 3)]
    assert after([gap.total_seconds() for gap in gaps], [0, 1, 6]), gaps


async def test_later_is_a_few_attempts_of_this_contact_only(world: World) -> None:
    world.sim.fault("error", method="POST", http=400, code=63018, times=None)
    await world.deliver(ask(world, "uno"))
    assert world.downs == []
    assert world.created == 0
    attempts = (await world.row()).attempts
    gaps = [(b.at - a.at).total_seconds() for a, b in pairwise(attempts)]
    assert ((await world.row()).state, [one.code for one in attempts]) == ("rejected", [63018] * 3)
    assert after(gaps, [30, 60]), gaps


@pytest.mark.parametrize(("answer", "code"), [(401, 20003), (400, 63007)])
async def test_our_account_raises_the_alarm(world: World, answer: int, code: int) -> None:
    world.sim.fault("error", method="POST", http=answer, code=code)
    with pytest.raises(TwilioDown):
        await world.handler.handle(run_of(delivery(ask(world))))
    assert world.tools.metrics.registry.get_sample_value("hilo_send_alarms_total", {"code": str(code)}) == 1


def after(seen: list[float], wanted: list[int]) -> bool:
    """Each as long as it should be, and what the machine took on top: this clock goes on by itself, too."""
    return all(want - 0.1 <= one < want + 4 for one, want in zip(seen, wanted, strict=True))


# Failures that pass


@pytest.mark.parametrize(
    ("code", "gaps"),
    [
        *[(code, [30, 300]) for code in (63009, 63010, 63012, 63023, 63017)],
        *[(code, [60, 300]) for code in (30001, 21611)],
        *[(code, [30]) for code in (30008, 63019, 63029)],
        (63018, [30, 60]),
    ],
)
async def test_a_failure_that_passes_is_posted_again_so_often_and_then_told(
    world: World, code: int, gaps: list[int]
) -> None:
    request = ask(world, "uno")
    await world.deliver(request)
    for _ in gaps:
        await world.status(world.sim.messages[-1].sid, "undelivered", code=code)
        assert world.box.sent == []
        await world.wake()
    assert world.created == 1 + len(gaps)
    attempts = (await world.row()).attempts
    waited = [(b.at - a.at).total_seconds() for a, b in pairwise(attempts)]
    assert all(gap <= seen < gap + 5 for gap, seen in zip(gaps, waited, strict=True)), (
        waited
    )  # and what the machine took
    for _ in range(2):
        await world.status(world.sim.messages[-1].sid, "undelivered", code=code)
        await world.wake()
        await world.deliver(request)
    assert world.created == 1 + len(gaps)
    assert [one.code for one in world.box.notices if isinstance(one, MessageUndeliverable)] == [code]
    assert (await world.row()).content is None


async def test_a_part_posted_again_is_shown_and_nothing_is_told(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    first = world.sim.messages[0].sid
    await world.status(first, "undelivered", code=63012)
    await world.wake()
    for name in ("undelivered", "sent"):
        await world.status(first, name, code=63012 if name == "undelivered" else None)
    await world.status(world.sim.messages[1].sid, "delivered")
    row = await world.row()
    assert (row.state, row.status, row.sid) == ("accepted", "delivered", world.sim.messages[1].sid)
    assert (row.error_code, row.content, row.retries) == (None, None, 1)
    assert (world.created, world.box.sent) == (2, [])


async def test_the_status_lane_does_not_wait_for_the_time_to_post_again(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    began = world.clock.now()
    await world.status(world.sim.messages[0].sid, "undelivered", code=63012)
    assert (world.clock.now() - began < timedelta(seconds=1), world.created) == (True, 1)
    row = await world.row()
    assert (row.state, len(world.box.woken)) == ("again", 1)


async def test_nothing_newer_is_shown_before_what_is_owed(world: World) -> None:
    """The next reply was in the lane already: it pays first, and need not be woken."""
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "undelivered", code=63012)
    newer = ask(world, "dos", turn="turn_2", seq=2, parts=[{"send_id": "turn_2-1", "text": "dos"}])
    await world.deliver(newer, patience=500)
    assert [one.body for one in world.sim.messages] == ["uno", "uno", "dos"]
    await world.wake()
    assert world.created == 3


async def test_what_something_newer_has_overtaken_is_told_and_not_shown_late(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    await world.deliver(ask(world, turn="turn_2", seq=2, parts=[{"send_id": "turn_2-1", "text": "dos"}]))
    await world.status(world.sim.messages[0].sid, "undelivered", code=63012)
    await world.wake()
    assert [one.body for one in world.sim.messages] == ["uno", "dos"]
    (notice,) = world.box.notices
    assert isinstance(notice, MessageUndeliverable)
    assert (notice.send_id, notice.code, notice.reason) == (f"{TURN}-1", 63012, "overtaken")
    assert ((await world.row()).state, (await world.row()).status) == ("accepted", "undelivered")


async def test_a_newer_part_that_was_about_to_go_steps_back(world: World) -> None:
    """The failure is told between its intent and its bytes."""
    await world.deliver(ask(world, "uno"))
    intended = world.ledger.intend

    async def intend(send: Any, **given: Any) -> Any:
        world.ledger.intend = intended  # type: ignore[method-assign]
        taken = await intended(send, **given)
        await world.status(world.sim.messages[0].sid, "undelivered", code=63012)
        return taken

    world.ledger.intend = intend  # type: ignore[method-assign]
    newer = ask(world, turn="turn_2", seq=2, parts=[{"send_id": "turn_2-1", "text": "dos"}])
    await world.deliver(newer, patience=500)
    assert [one.body for one in world.sim.messages] == ["uno", "uno", "dos"]


async def test_the_rest_of_a_reply_waits_for_a_part_that_is_owed(world: World) -> None:
    request = ask(world, "uno", "dos")
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(request)))
    await world.status(world.sim.messages[0].sid, "failed", code=63012)
    await world.deliver(request, patience=500)
    assert [one.body for one in world.sim.messages] == ["uno", "uno", "dos"]


async def test_a_part_owed_too_late_is_told(world: World) -> None:
    await world.deliver(ask(world, "uno", not_after=world.clock.now() + timedelta(seconds=20)))
    await world.status(world.sim.messages[0].sid, "undelivered", code=63012)
    await world.wake()
    assert (world.created, [type(one) for one in world.box.notices]) == (1, [MessageExpired])


async def test_a_take_over_does_not_wait_for_a_part_that_is_owed(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "undelivered", code=63012)
    (woken,) = world.box.woken
    began = world.clock.now()
    run = run_of(delivery(woken.data))
    run.behind = (delivery(fence()),)  # type: ignore[misc]
    await world.handler.handle(run)
    await world.deliver(fence())
    assert world.clock.now() - began < timedelta(seconds=1)
    assert (world.created, [type(one) for one in world.box.notices]) == (
        1,
        [MessageUndeliverable, ConversationTakenOver],
    )


async def test_what_arrives_after_all_is_not_posted_again(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "undelivered", code=30410)
    await world.status(world.sim.messages[0].sid, "delivered")
    await world.wake()
    row = await world.row()
    assert (row.state, row.status, world.created, world.box.sent) == ("accepted", "delivered", 1, [])


async def test_what_may_have_arrived_is_posted_again_once_and_said(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "undelivered", code=30410)
    await world.wake()
    assert [one.reason for one in world.box.notices if isinstance(one, MessageUncertain)] == ["posted_again"]
    await world.status(world.sim.messages[1].sid, "undelivered", code=30410)
    await world.wake()
    assert (world.created, (await world.row()).repeats) == (2, 1)


async def test_an_erased_contact_is_owed_nothing(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "undelivered", code=63012)
    await world.deliver(EraseSends(contact=USER, seq=2))
    await world.wake()
    stored = await world.database.sends.find_one({"_id": f"{TURN}-1"})
    assert stored
    assert (world.created, stored["state"], "uno" in str(stored)) == (1, "withheld", False)
    gate = await world.database.sends.find_one({"_id": fence_id(USER)})
    assert gate
    assert gate["owed"] == []


async def test_a_number_that_cannot_send_stops_all_its_contacts_for_a_while(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "failed", code=63051)
    alarms = world.tools.metrics.registry.get_sample_value("hilo_send_alarms_total", {"code": "63051"})
    assert alarms == 1
    other = ask(
        world, contact="MX.9f3c", to="MX.9f3c", turn="turn_2", parts=[{"send_id": "turn_2-1", "text": "a otra"}]
    )
    world.sim.open_window("MX.9f3c")
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(other)))
    assert world.created == 1
    began = world.clock.now()
    await world.deliver(other)
    assert 290 < (world.clock.now() - began).total_seconds() < 310
    await world.wake()
    assert [one.body for one in world.sim.messages] == ["uno", "a otra", "uno"]
    assert world.box.sent == []


# Windows


async def test_a_reply_outside_the_window_becomes_the_template_for_it(world: World) -> None:
    world.sim.close_window(USER)
    world.sim.template(SID, "Sobre tu mensaje: {{1}}")
    world.reengage = SID
    await world.deliver(ask(world, "Sí,\n\n    mañana\ta las 10", "dos", window_until=None))
    assert world.shown == ["Sobre tu mensaje: Sí, mañana a las 10"]
    assert [(await world.row(2)).state, (await world.row(2)).error_message] == ["withheld", "window_closed"]


async def window_closed_against_our_clock(world: World, request: SendRequested) -> None:
    world.sim.close_window(USER)
    world.sim.template(SID, "Hola {{1}}")
    await world.deliver(request)
    await world.sim.idle()


@pytest.mark.parametrize("lost", [False, True])
async def test_a_window_found_closed_is_the_template_once(world: World, lost: bool) -> None:
    template = Template(content_sid=SID, variables={"1": "Ana"})
    await window_closed_against_our_clock(world, ask(world, "uno", template=template, purpose="greeting"))
    first = world.sim.messages[0].sid
    await world.status(first, "undelivered", code=63016)
    assert world.created == 1
    if lost:
        world.sim.fault("reset", after=True, method="POST")
    await world.wake()
    for _ in range(2):
        await world.status(first, "undelivered", code=63016)
        await world.wake()
    await world.status(world.sim.messages[1].sid, "delivered")
    await world.sim.idle()
    assert (world.shown, world.created) == (["Hola Ana"], 2)
    row = await world.row()
    assert (row.state, row.status, row.sid, row.fallback) == ("accepted", "delivered", world.sim.messages[1].sid, None)
    assert world.box.sent == []


async def test_a_template_that_fails_too_is_told(world: World) -> None:
    world.reengage = SID
    await window_closed_against_our_clock(world, ask(world, "uno"))
    await world.status(world.sim.messages[0].sid, "failed", code=63016)
    await world.wake()
    await world.status(world.sim.messages[1].sid, "failed", code=63016)
    assert (world.created, world.box.woken) == (2, [])
    assert [one.code for one in world.box.notices if isinstance(one, MessageUndeliverable)] == [63016]


async def test_a_window_found_closed_too_late_is_told(world: World) -> None:
    world.reengage = SID
    await window_closed_against_our_clock(world, ask(world, "uno"))
    world.sim.advance(4000)
    await world.status(world.sim.messages[0].sid, "failed", code=63016)
    await world.wake()
    assert (world.created, [type(one) for one in world.box.notices]) == (1, [MessageExpired])


async def test_its_validity_is_what_is_left_of_its_life(world: World) -> None:
    await world.deliver(ask(world, "uno", not_after=world.clock.now() + timedelta(seconds=600)))
    await world.deliver(ask(world, "dos", parts=[{"send_id": f"{TURN}-2", "text": "dos"}], not_after=None))
    assert [round(one.validity_s, -1) for one in world.sim.messages] == [600, 36_000]


# Reconciliation


async def test_a_message_without_a_final_status_is_asked_after(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    rounds = Reconciliation(world.ledger, world.twilio, world.statuses, world.tools)
    assert await rounds.once() == 0
    world.sim.advance(12 * 3600 + 60)
    assert [await rounds.once(), await rounds.once()] == [1, 0]
    row = await world.row()
    assert (row.status, row.due) == (world.sim.messages[0].status, None)
    assert row.status in {"delivered", "read"}


async def test_a_failure_that_no_callback_told_is_told_by_the_reconciliation(world: World) -> None:
    world.sim.contact(USER, not_whatsapp=True)
    await world.deliver(ask(world, "uno"))
    world.sim.advance(13 * 3600)
    await Reconciliation(world.ledger, world.twilio, world.statuses, world.tools).once()
    assert [type(one) for one in world.box.notices] == [MessageUndeliverable, AddressRefused]


async def test_one_who_never_gets_it_is_given_up(world: World, database: Database) -> None:
    world.sim.contact(USER, blocked=True)
    await world.deliver(ask(world, "uno"))
    rounds = Reconciliation(world.ledger, world.twilio, world.statuses, world.tools)
    looked = 0
    for _ in range(20):
        world.sim.advance(13 * 3600)
        looked += await rounds.once()
    assert looked == 5
    assert (await world.row()).status == "sent"


async def test_what_waits_for_a_connection_does_not_hold_a_lease(world: World) -> None:
    poster: Poster = world.poster
    poster._slots = asyncio.Semaphore(0)
    send = world.handler._new(ask(world, "uno"), ask(world, "uno").parts[0])
    task = asyncio.create_task(poster.post(send, {"Body": "uno"}))
    await asyncio.sleep(0.05)
    assert await world.ledger.find(send.id) is None
    poster._slots.release()
    assert (await task).state == "accepted"
    assert world.sim.messages[0].sender == f"whatsapp:{OURS}"
