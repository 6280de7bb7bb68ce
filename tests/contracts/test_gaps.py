"""Gap repair: what clients wrote while no ingress was there, found in the Twilio simulator's list."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from ingress.door import Door
from ingress.routes import Webhooks
from ingress.settings import IngressSettings
from janitor.gaps import Gaps
from kit.errors import BrokerDown, TwilioDown
from kit.http import PooledClient
from kit.metrics import Metrics
from kit.mongo import Database
from kit.probes import HttpServer
from kit.reads import Reads
from kit.service import Tools
from kit.settings import TwilioSettings
from kit.twilio import Twilio
from sandbox.stack.ports import free_ports
from sandbox.twilio import Profile, TwilioSimulator
from sandbox.twilio.shapes import Kind
from schemas.attributes import Envelope
from schemas.events import Event, MessageReceived
from tests.contracts.simulators_clock import SimulatorsClock

pytestmark = pytest.mark.stack
OURS = "+14155238886"


class Log:
    """Stands for `contact.log`; `fault` is raised instead of taking a record."""

    def __init__(self) -> None:
        self.records: list[Envelope[Event]] = []
        self.fault: Exception | None = None

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        assert topic == "contact.log"
        if self.fault:
            raise self.fault
        self.records.append(envelope)

    @property
    def messages(self) -> dict[str, MessageReceived]:
        return {one.id: one.data for one in self.records if isinstance(one.data, MessageReceived)}


class World:
    """Twilio, an ingress that comes and goes, and a processor that has decided what it was given."""

    def __init__(self, sim: TwilioSimulator, database: Database, http: PooledClient) -> None:
        self.sim, self.database, self.log = sim, database, Log()
        self.tools = Tools("test", SimulatorsClock(sim), Metrics())
        (self.port,) = free_ports(1)
        public = f"http://127.0.0.1:{self.port}"
        sim.configure(inbound_url=f"{public}/webhook/twilio/incoming#rc=3&rp=5xx,ct,rt")
        account: dict[str, Any] = {
            "twilio_account_sid": sim.profile.account_sid,
            "twilio_auth_token": sim.profile.auth_token,
            "twilio_whatsapp_numbers": (OURS,),
            "_env_file": None,
        }
        self.settings = IngressSettings(**account, public_base_url=public, api_token="x")
        self.twilio = Twilio(TwilioSettings(**account, twilio_base_url=sim.url), http)
        self.gaps = self.janitor()

    def janitor(self) -> Gaps:
        """One that has just started."""
        return Gaps(
            self.twilio,
            Reads(self.database),
            self.log,  # type: ignore[arg-type]
            self.tools,
            channels=[OURS],
            every=timedelta(minutes=5),
            overlap=timedelta(minutes=15),
            lookback=timedelta(hours=24),
        )

    @asynccontextmanager
    async def ingress(self) -> AsyncIterator[None]:
        webhooks = Webhooks(self.settings, self.log, None, self.tools)  # type: ignore[arg-type]
        server = HttpServer(Door(webhooks.routes, webhooks.incoming, self.tools), self.port, "PORT", "127.0.0.1")  # type: ignore[arg-type]
        await server.start()
        yield
        await server.stop()

    async def write(self, count: int, first: int = 0, seconds: float = 30) -> list[str]:
        """People of every kind write, `seconds` apart."""
        kinds: tuple[Kind, ...] = ("text", "image", "document", "location", "audio", "contacts")
        sids = []
        for number in range(first, first + count):
            self.sim.contact("+34600000003", hidden=True)
            received = await self.sim.inbound(
                f"+3460000000{number % 7}", f"mensaje {number}", kinds[number % len(kinds)]
            )
            sids.append(received.sid)
            self.sim.advance(seconds)
        return sids

    async def decide(self) -> None:
        """A turn for each id in the log that has none, as the processor makes them."""
        known = [event async for one in self.database.turns.find() for event in one["events"]]
        for number, sid in enumerate(dict.fromkeys(one.id for one in self.log.records)):
            if sid not in known:
                turn = {"_id": f"turn_{sid}", "events": [sid], "slot": sid, "rev": sid, "seq": number}
                await self.database.turns.insert_one(turn)


@pytest.fixture
async def world(database: Database) -> AsyncIterator[World]:
    async with TwilioSimulator(profile=Profile(speed=1000)) as sim:
        http = PooledClient(concurrency=4)
        yield World(sim, database, http)
        await http.stop()


async def test_after_an_outage_of_ten_minutes_nothing_is_lost_and_nothing_doubled(world: World) -> None:
    async with world.ingress():
        before = await world.write(10)
    await world.decide()
    during = await world.write(20, first=10)  # twenty times 30 s: the ingress is gone for ten minutes
    async with world.ingress():
        after = await world.write(10, first=30)
    await world.decide()
    world.sim.advance(300)
    assert not set(during) & set(world.log.messages), "the outage was none"

    assert await world.gaps.once() == 20
    await world.decide()
    assert await world.gaps.once() == 0

    counted = Counter(one.id for one in world.log.records)
    assert counted == Counter([*before, *during, *after])
    assert {sid for sid, one in world.log.messages.items() if one.repaired} == set(during)
    repaired = [one.id for one in world.log.records[-20:]]
    assert repaired == during, "oldest first"


async def test_a_repaired_message_has_all_that_the_list_tells(world: World) -> None:
    at = world.sim.account.now().replace(microsecond=0)
    sids = await world.write(6, seconds=120)
    await world.gaps.once()
    found = [world.log.messages[sid] for sid in sids]
    assert [one.kind for one in found] == ["text", "image", "document", "unknown", "audio", "contacts"]
    assert [len(one.media) for one in found] == [0, 1, 1, 0, 1, 1]
    assert (found[0].text, found[0].address, found[0].channel) == ("mensaje 0", "+34600000000", OURS)
    assert found[0].received_at == at
    assert found[1].media[0].content_type == "image/jpeg"
    assert f"/Messages/{sids[1]}/Media/ME" in found[1].media[0].url
    assert found[3].address.startswith("ES."), "who hides the number is known by the user id"
    assert [one.contact for one in world.log.records] == [one.address for one in found]


async def test_what_may_still_come_by_webhook_is_left_alone(world: World) -> None:
    (sid,) = await world.write(1, seconds=30)
    assert await world.gaps.once() == 0
    world.sim.advance(60)
    assert await world.gaps.once() == 1
    assert list(world.log.messages) == [sid]


async def test_with_the_processor_away_nothing_is_repaired_twice(world: World) -> None:
    await world.write(3, seconds=120)
    assert [await world.gaps.once() for _ in range(3)] == [3, 0, 0]


async def test_a_second_janitor_repairs_with_the_same_ids(world: World) -> None:
    await world.write(3, seconds=120)
    await world.gaps.once()
    await world.janitor().once()
    assert set(Counter(one.id for one in world.log.records).values()) == {2}


async def test_a_restart_looks_a_day_back(world: World) -> None:
    sids = await world.write(2, seconds=8 * 3600)
    world.sim.advance(9 * 3600)
    assert await world.janitor().once() == 1, "the one of 25 hours ago is beyond repair"
    assert list(world.log.messages) == sids[1:]


async def test_a_long_list_is_read_to_its_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kit.twilio.PAGE", 3)
    sids = await world.write(10, seconds=61)
    pages = world.twilio.received(channel=OURS, since=world.tools.clock.now() - timedelta(hours=1))
    assert [len(page) async for page in pages] == [3, 3, 3, 1], "one page in memory, however long the list"
    assert await world.gaps.once() == 10
    assert list(world.log.messages) == sids, "oldest first, over all pages"


async def test_with_twilio_away_the_next_look_begins_as_early(world: World) -> None:
    await world.write(2, seconds=120)
    world.sim.fault("error", http=503, path="Messages.json", times=1)
    with pytest.raises(TwilioDown):
        await world.gaps.once()
    world.sim.advance(3600)
    assert await world.gaps.once() == 2


async def test_with_kafka_away_the_rest_is_repaired_later(world: World) -> None:
    await world.write(2, seconds=120)
    world.log.fault = BrokerDown("away")
    with pytest.raises(BrokerDown):
        await world.gaps.once()
    world.log.fault = None
    assert await world.gaps.once() == 2


async def test_what_we_send_is_no_gap(world: World) -> None:
    await world.twilio.create(to="+34600000001", channel=OURS, callback="", content={"Body": "hola"})
    world.sim.advance(300)
    assert await world.gaps.once() == 0
