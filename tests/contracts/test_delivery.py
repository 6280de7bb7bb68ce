"""The sender against the Twilio simulator and a MongoDB-wire server: each part is on the handset once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from kit.errors import DependencyDown, StoreDown, TwilioDown, Wait
from kit.http import PooledClient
from kit.kafka.dead_letters import Position
from kit.kafka.delivery import Delivery
from kit.metrics import Metrics
from kit.mongo import Database
from kit.service import Tools
from kit.settings import TwilioSettings
from kit.twilio import Twilio
from sandbox.twilio import Profile, TwilioSimulator
from sandbox.twilio.faults import RestEffect
from schemas.attributes import Envelope
from schemas.contact import Contact
from schemas.documents import SendDocument
from schemas.events import (
    AddressRefused,
    Event,
    Part,
    SendAgain,
    SendRequested,
    StatusChanged,
    Template,
)
from schemas.notices import MessageExpired, MessageUndeliverable
from sender.debts import Debts
from sender.delivery import DeliveryHandler
from sender.effects import EffectLedger
from sender.fences import Fences
from sender.pacing import Pacer
from sender.posting import Poster
from sender.statuses import StatusHandler
from sender.telling import Teller
from tests.contracts.runs import run_of
from tests.contracts.simulators_clock import SimulatorsClock

pytestmark = pytest.mark.stack
USER = "+34600111222"
OURS = "+14155238886"
SID = "HX" + "0" * 32
HOOKS = "http://hooks.example.com"
TURN = "turn_0123456789abcdef01234567"
GIVES_UP = pytest.mark.parametrize("http", [1.0], indirect=True, ids=["1 s"])
ENVELOPE_AT = datetime.fromisoformat("2026-11-23T12:00:00+00:00")


class Box:
    """Stands for the outlet."""

    def __init__(self) -> None:
        self.sent: list[Envelope[Event]] = []
        self.woken: list[Envelope[Event]] = []

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        topics = {AddressRefused: "contact.log", SendAgain: "message.outbound"}
        assert topic == topics.get(type(envelope.data), "system.notices")
        (self.woken if isinstance(envelope.data, SendAgain) else self.sent).append(envelope)

    @property
    def notices(self) -> list[Event]:
        """Each id once: that is what a reader of notices sees."""
        return list({envelope.id: envelope.data for envelope in self.sent}.values())


class World:
    """One account, one ledger, one handset."""

    def __init__(self, sim: TwilioSimulator, database: Database, http: PooledClient) -> None:
        self.sim = sim
        self.box = Box()
        self.clock = SimulatorsClock(sim)
        self.tools = Tools("test", self.clock, Metrics())
        self.ledger = EffectLedger(database, self.clock, 15)
        settings = TwilioSettings(
            twilio_account_sid=sim.profile.account_sid,
            twilio_auth_token=sim.profile.auth_token,
            twilio_whatsapp_numbers=(OURS,),
            twilio_base_url=sim.url,
            _env_file=None,
        )
        self.twilio = Twilio(settings, http)
        self.database = database
        self.teller = Teller(self.box, self.ledger, self.tools)  # type: ignore[arg-type]
        self.pacer = Pacer(self.clock, 80)
        self.reengage = ""
        self.held: list[DependencyDown | Wait] = []

    @property
    def poster(self) -> Poster:
        return Poster(self.ledger, self.twilio, self.teller, self.pacer, HOOKS, self.tools)

    @property
    def handler(self) -> DeliveryHandler:
        poster = self.poster
        return DeliveryHandler(self.ledger, poster, self.fences, self.debts(poster), self.reengage, self.tools)

    @property
    def fences(self) -> Fences:
        return Fences(self.database, self.ledger, self.teller)

    def debts(self, poster: Poster) -> Debts:
        return Debts(self.ledger, poster, self.fences, self.teller, self.tools)

    @property
    def statuses(self) -> StatusHandler:
        return StatusHandler(self.ledger, self.debts(self.poster), self.fences, self.teller, self.tools)

    @property
    def downs(self) -> list[DependencyDown]:
        return [one for one in self.held if isinstance(one, DependencyDown)]

    async def deliver(self, event: Event, *, patience: int = 200) -> None:
        """As the consumer does: again after every hold. The clock moves on instead of waiting."""
        await self.settle(lambda: self.handler.handle(run_of(delivery(event))), patience)

    async def settle(self, work: Callable[[], Awaitable[None]], patience: int = 200) -> None:
        for _ in range(patience):
            try:
                await work()
            except (DependencyDown, Wait) as held:
                self.held.append(held)
                self.sim.advance(held.after or 1)
                await asyncio.sleep(0)
            else:
                await self.sim.idle()
                return
        pytest.fail(f"held for ever: {self.held[-1]}")

    async def wake(self, patience: int = 500) -> None:
        """What the sender told itself comes along its own topic."""
        while self.box.woken:
            await self.deliver(self.box.woken.pop(0).data, patience=patience)

    async def row(self, number: int = 1) -> SendDocument:
        found = await self.ledger.find(f"{TURN}-{number}")
        assert found
        return found

    @property
    def shown(self) -> list[str]:
        return self.sim.handset(USER).texts

    @property
    def created(self) -> int:
        return len([one for one in self.sim.messages if not one.inbound])

    async def status(self, sid: str, name: str, number: int = 1, code: int | None = None) -> None:
        event = StatusChanged(
            message_sid=sid,
            status=name,
            send_id=f"{TURN}-{number}",
            attempt=1,
            address=USER,
            error_code=code,
            received_at=ENVELOPE_AT,
        )
        record = Delivery(
            Envelope(f"{sid}-{name}", "hilo/test", ENVELOPE_AT, Contact(USER), event),
            Position("message.status", 0, 1),
        )
        await self.statuses.handle(run_of(record))


def delivery(event: Event) -> Delivery:
    envelope = Envelope(f"{TURN}-send", "hilo/test", ENVELOPE_AT, Contact(USER), event)
    return Delivery(envelope, Position("message.outbound", 0, 1))


@pytest.fixture
async def sim() -> AsyncIterator[TwilioSimulator]:
    """Its callbacks end in nothing: a test that wants one tells it itself."""
    profile = Profile(speed=1000, mps=10_000, numbers=(OURS,), connect={HOOKS: "http://127.0.0.1:9"})
    async with TwilioSimulator(profile) as running:
        running.open_window(USER)
        yield running


@pytest.fixture
async def http(request: pytest.FixtureRequest) -> AsyncIterator[PooledClient]:
    """Patient, or a busy machine is taken for a silent Twilio; what waits for silence asks for less: `GIVES_UP`."""
    client = PooledClient(concurrency=4, total_s=getattr(request, "param", 10.0))
    yield client
    await client.stop()


@pytest.fixture
def world(sim: TwilioSimulator, database: Database, http: PooledClient) -> World:
    return World(sim, database, http)


def ask(world: World, *texts: str, **fields: Any) -> SendRequested:
    parts = [Part(send_id=f"{TURN}-{n}", text=text) for n, text in enumerate(texts or ("uno", "dos", "tres"), 1)]
    known = {
        "contact": USER,
        "to": USER,
        "channel": OURS,
        "conversation_id": "conv_1",
        "turn": TURN,
        "seq": 1,
        "purpose": "reply",
        "parts": parts,
        "window_until": world.clock.now() + timedelta(hours=20),
        "not_after": world.clock.now() + timedelta(hours=1),
    }
    return SendRequested(**{**known, **fields})


async def test_every_part_is_shown_once_and_in_order(world: World) -> None:
    await world.deliver(ask(world))
    assert world.shown == ["uno", "dos", "tres"]
    assert world.downs == []
    rows = [await world.row(n) for n in (1, 2, 3)]
    assert [row.state for row in rows] == ["accepted"] * 3
    assert [row.sid for row in rows] == [one.sid for one in world.sim.messages]
    assert [[attempt.outcome for attempt in row.attempts] for row in rows] == [["ACCEPTED"]] * 3
    assert world.box.sent == []


async def test_a_reply_waits_until_the_one_before_it_was_sent(world: World) -> None:
    """WhatsApp keeps the order of what it has sent. Another process has this one, with no memory of the first reply."""
    first, second = ask(world, "uno"), ask(world, "dos", seq=2, turn="turn_2", follows=f"{TURN}-1")
    second = second.model_copy(update={"parts": [Part(send_id="turn_2-1", text="dos")]})
    await world.handler.handle(run_of(delivery(first)))
    world.pacer = Pacer(world.clock, 80)
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(second)))
    assert world.created == 1
    await world.status(world.sim.messages[0].sid, "sent")
    await world.handler.handle(run_of(delivery(second)))
    assert world.created == 2


@pytest.mark.parametrize("fate", ["five seconds", "withheld", "nobody knows it"])
async def test_a_reply_waits_for_nothing_that_will_not_be_sent(world: World, fate: str) -> None:
    second = ask(world, "dos", seq=2, follows="turn_0-1")
    if fate != "nobody knows it":
        past = world.clock.now() - timedelta(minutes=5)
        first = ask(world, "uno", turn="turn_0", seq=1, not_after=past if fate == "withheld" else None)
        await world.handler.handle(
            run_of(delivery(first.model_copy(update={"parts": [Part(send_id="turn_0-1", text="uno")]})))
        )
        world.pacer = Pacer(world.clock, 80)
    if fate == "five seconds":
        world.sim.advance(5)
    await world.handler.handle(run_of(delivery(second)))
    assert (await world.row()).state == "accepted"


async def test_the_callback_names_the_send_and_its_attempt(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    assert world.sim.messages[0].callback == (
        f"{HOOKS}/webhook/twilio/status?send={TURN}-1&attempt=1#rc=3&rp=5xx,ct,rt"
    )


async def test_a_record_that_comes_twice_shows_nothing_twice(world: World) -> None:
    request = ask(world)
    for _ in range(3):
        await world.deliver(request)
    assert world.shown == ["uno", "dos", "tres"]


async def test_two_processes_with_one_record_show_it_once(world: World) -> None:
    """A partition that moved while its old owner still works."""
    request = ask(world)
    await asyncio.gather(*(world.deliver(request) for _ in range(3)))
    assert world.shown == ["uno", "dos", "tres"]
    assert world.created == 3


@GIVES_UP
@pytest.mark.parametrize("effect", ["reset", "error", "hang", "html", "redirect"])
@pytest.mark.parametrize("body", ["uno", "dos", "tres"])
async def test_an_answer_that_is_lost_shows_nothing_twice(world: World, effect: RestEffect, body: str) -> None:
    world.sim.fault(effect, after=True, method="POST", body=body, seconds=1_000_000)
    await world.deliver(ask(world))
    assert world.shown == ["uno", "dos", "tres"]
    assert world.created == 3
    assert [(await world.row(n)).state for n in (1, 2, 3)] == ["accepted"] * 3


@GIVES_UP
@pytest.mark.parametrize("effect", ["reset", "error", "hang", "html"])
async def test_a_post_that_never_arrived_is_posted_again_after_the_lease(world: World, effect: RestEffect) -> None:
    world.sim.fault(effect, method="POST", body="dos", seconds=1_000_000)
    began = world.clock.now()
    await world.deliver(ask(world))
    assert world.shown == ["uno", "dos", "tres"]
    assert [attempt.outcome for attempt in (await world.row(2)).attempts] == ["UNKNOWN", "ACCEPTED"]
    assert world.clock.now() - began >= timedelta(seconds=15)


@pytest.mark.parametrize("effect", ["truncate"])
async def test_an_answer_that_is_cut_shows_nothing_twice(world: World, effect: RestEffect) -> None:
    world.sim.fault(effect, method="POST")
    await world.deliver(ask(world))
    assert (world.shown, world.created) == (["uno", "dos", "tres"], 3)


@GIVES_UP
async def test_an_answer_that_drips_is_given_up_and_asked_for(world: World) -> None:
    world.sim.fault("drip", method="POST", seconds=50)
    await world.deliver(ask(world, "uno"))
    assert (world.shown, world.created) == (["uno"], 1)
    assert [attempt.outcome for attempt in (await world.row()).attempts] == ["UNKNOWN"]


@pytest.mark.parametrize("times", [1, 2, 5])
async def test_too_many_requests_is_a_hold(world: World, times: int) -> None:
    world.sim.fault("error", method="POST", http=429, retry_after=3, times=times)
    await world.deliver(ask(world))
    assert world.shown == ["uno", "dos", "tres"]
    assert [held.after for held in world.downs] == [3.0] * times
    assert all(isinstance(held, TwilioDown) for held in world.downs)


@pytest.mark.parametrize(("answer", "code"), [(401, 20003), (403, 20005), (404, 20404), (400, 21611), (400, 63007)])
async def test_what_is_wrong_with_our_account_is_a_hold(world: World, answer: int, code: int) -> None:
    world.sim.fault("error", method="POST", http=answer, code=code, times=2)
    await world.deliver(ask(world))
    assert world.shown == ["uno", "dos", "tres"]
    assert [type(held) for held in world.downs] == [TwilioDown] * 2
    assert world.box.sent == []


async def test_a_refused_connection_is_a_hold(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    there = world.twilio._messages
    monkeypatch.setattr(world.twilio, "_messages", "http://127.0.0.1:9/2010-04-01/Accounts/AC/Messages.json")
    with pytest.raises(TwilioDown):
        await world.handler.handle(run_of(delivery(ask(world))))
    monkeypatch.setattr(world.twilio, "_messages", there)
    await world.deliver(ask(world))
    assert world.shown == ["uno", "dos", "tres"]
    assert world.downs == []


async def test_while_twilio_cannot_be_asked_nothing_is_posted_again(world: World) -> None:
    world.sim.fault("reset", after=True, method="POST")
    world.sim.fault("error", method="GET", http=503, times=3)
    await world.deliver(ask(world))
    assert (world.shown, world.created) == (["uno", "dos", "tres"], 3)
    assert sum(isinstance(held, TwilioDown) for held in world.held) == 3


@pytest.mark.parametrize(
    "code", [21610, 21211, 21617, 63013, 21654], ids=["opted out", "invalid", "too long", "policy", "content"]
)
@pytest.mark.expects_errors
async def test_a_refused_part_is_told_and_the_rest_is_not_shown(world: World, code: int) -> None:
    world.sim.fault("error", method="POST", http=400, code=code, body="dos")
    request = ask(world)
    for _ in range(2):
        await world.deliver(request)
    assert world.shown == ["uno"]
    notice = world.box.notices[0]
    assert isinstance(notice, MessageUndeliverable)
    assert (notice.send_id, notice.code, notice.contact) == (f"{TURN}-2", code, USER)
    refused = [AddressRefused(address=USER, code=code)] if code in {21610, 21211} else []
    assert world.box.notices[1:] == refused
    assert ((await world.row(3)).state, (await world.row(3)).error_message) == ("withheld", "earlier_part")


async def test_a_person_who_opted_out_at_twilio(world: World) -> None:
    world.sim.contact(USER, opted_out=True)
    await world.deliver(ask(world))
    assert world.shown == []
    assert [notice.code for notice in world.box.notices if isinstance(notice, MessageUndeliverable)] == [21610]


async def test_a_closed_window_without_a_template_is_told(world: World) -> None:
    request = ask(world, window_until=None)
    for _ in range(2):
        await world.deliver(request)
    assert (world.shown, world.created) == ([], 0)
    (notice,) = world.box.notices
    assert isinstance(notice, MessageUndeliverable)
    assert (notice.reason, notice.code, notice.send_id) == ("window_closed", None, f"{TURN}-1")


async def test_a_closed_window_with_a_template_shows_the_template(world: World) -> None:
    world.sim.close_window(USER)
    world.sim.template(SID, "Hola {{1}}, sobre {{2}}.")
    template = Template(content_sid=SID, variables={"1": "Ana", "2": "tu cita"})
    await world.deliver(ask(world, "¡Hola Ana!", window_until=None, template=template, purpose="greeting"))
    assert world.shown == ["Hola Ana, sobre tu cita."]
    assert world.box.sent == []


async def test_a_template_whose_answer_is_lost_is_shown_once(world: World) -> None:
    world.sim.close_window(USER)
    world.sim.template(SID, "Hola {{1}}, sobre {{2}}.")
    world.sim.fault("reset", after=True, method="POST")
    template = Template(content_sid=SID, variables={"1": "Ana", "2": "tu cita"})
    await world.deliver(ask(world, "¡Hola Ana!", window_until=None, template=template, purpose="greeting"))
    assert world.shown == ["Hola Ana, sobre tu cita."]


async def test_of_two_parts_alike_the_second_is_not_taken_for_the_first(world: World) -> None:
    world.sim.fault("reset", method="POST", nth=2)
    await world.deliver(ask(world, "¡Claro!", "¡Claro!"))
    assert world.shown == ["¡Claro!", "¡Claro!"]


async def test_a_stale_reply_is_not_shown_and_told(world: World) -> None:
    request = ask(world)
    world.sim.advance(3601)
    for _ in range(2):
        await world.deliver(request)
    assert (world.shown, world.created) == ([], 0)
    (notice,) = world.box.notices
    assert isinstance(notice, MessageExpired)
    assert notice.send_id == f"{TURN}-1"


async def test_a_reply_that_became_stale_while_twilio_was_away_is_not_shown(world: World) -> None:
    world.sim.fault("error", method="POST", http=429, retry_after=60, times=None)
    await world.deliver(ask(world), patience=100)
    assert world.shown == []
    assert [type(notice) for notice in world.box.notices] == [MessageExpired]


async def test_a_bsuid_is_written_to_as_it_is(world: World) -> None:
    world.sim.open_window("MX.9f3c")
    await world.deliver(ask(world, "hola", to="MX.9f3c"))
    assert world.sim.handset("MX.9f3c").texts == ["hola"]


# Statuses


async def test_a_status_before_the_answer_is_enough(world: World) -> None:
    """The 201 is lost, the callback is not: nothing has to be asked and nothing waits for the lease."""
    world.sim.fault("reset", after=True, method="POST")
    with pytest.raises(Wait):
        await world.handler.handle(run_of(delivery(ask(world, "uno"))))
    await world.status(world.sim.messages[0].sid, "sent")
    await world.handler.handle(run_of(delivery(ask(world, "uno"))))
    row = await world.row()
    assert (row.state, row.status, row.sid) == ("accepted", "sent", world.sim.messages[0].sid)
    assert world.created == 1


class Hasty(Twilio):
    """Its callbacks are handled before its answer is."""

    def __init__(self, world: World) -> None:
        self._world, self._inner = world, world.twilio

    async def create(self, **given: Any) -> Any:
        created = await self._inner.create(**given)
        assert created.sid
        for name in ("sent", "delivered"):
            await self._world.status(created.sid, name)
        return created

    async def list_to(self, **given: Any) -> Any:
        return await self._inner.list_to(**given)


async def test_callbacks_before_the_post_returned_show_nothing_twice(world: World) -> None:
    world.twilio = Hasty(world)
    request = ask(world, "uno")
    for _ in range(2):
        await world.deliver(request)
    row = await world.row()
    assert (row.state, row.status, row.sid) == ("accepted", "delivered", world.sim.messages[0].sid)
    assert world.created == 1


async def test_callbacks_before_the_post_returned_do_not_lose_the_attempt(world: World) -> None:
    world.twilio = Hasty(world)
    await world.deliver(ask(world, "uno"))
    row = await world.row()
    assert (row.state, [attempt.outcome for attempt in row.attempts]) == ("accepted", ["ACCEPTED"])


async def test_statuses_at_once_end_with_the_highest(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    sid = world.sim.messages[0].sid

    async def until_taken(name: str) -> None:
        while True:
            try:
                await world.status(sid, name)
            except Wait:
                await asyncio.sleep(0)
            else:
                return

    await asyncio.gather(*(until_taken(name) for name in ("read", "delivered", "sent", "delivered", "queued")))
    assert (await world.row()).status == "read"


async def test_a_status_of_a_stranger_is_left_alone(world: World, database: Database) -> None:
    await world.status("SM_nobody", "delivered", number=9)
    assert await database.sends.count_documents({}) == 0


async def test_a_status_without_our_id_finds_its_part_by_the_sid(world: World) -> None:
    await world.deliver(ask(world, "uno"))
    event = StatusChanged(
        message_sid=world.sim.messages[0].sid, status="delivered", address=USER, received_at=ENVELOPE_AT
    )
    await world.statuses.handle(run_of(delivery(event)))
    assert (await world.row()).status == "delivered"


# The effect ledger


async def test_a_lease_is_taken_by_one(world: World) -> None:
    send = world.handler._new(ask(world, "uno"), ask(world, "uno").parts[0])
    taken = await asyncio.gather(*(world.ledger.intend(send) for _ in range(5)))
    assert sum(one is not None for one in taken) == 1


async def test_a_process_that_was_paused_beyond_its_lease_loses(world: World) -> None:
    send = world.handler._new(ask(world, "uno"), ask(world, "uno").parts[0])
    first = await world.ledger.intend(send)
    assert first
    second = await world.ledger.intend(first)
    assert second
    assert await world.ledger.intend(first) is None
    assert await world.ledger.change(first, first.model_copy(update={"state": "accepted"})) is None
    assert (await world.row()).rev == second.rev


async def test_a_store_that_is_away_before_a_post_posts_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(_: object, **__: object) -> None:
        raise StoreDown("away")

    monkeypatch.setattr(world.ledger, "intend", away)
    with pytest.raises(StoreDown):
        await world.handler.handle(run_of(delivery(ask(world))))
    assert world.created == 0


async def test_a_status_is_not_lost_on_a_row_that_another_process_has_changed(
    world: World, sim: TwilioSimulator
) -> None:
    await world.deliver(ask(world, "uno"))
    sid = (await world.row()).sid or ""
    remembered, other = world.ledger, EffectLedger(world.database, world.clock, 15)
    seen = []
    for ledger, status in ((other, "sent"), (remembered, "delivered"), (other, "read"), (remembered, "sent")):
        world.ledger = ledger
        await world.status(sid, status)
        seen.append((await world.row()).status)
    assert seen == ["sent", "delivered", "read", "read"]
