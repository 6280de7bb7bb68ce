"""The console on a real Kafka: it hears the end of the log, goes on after an outage, and works on dead letters."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from kit.kafka.dead_letters import DeadLetters, Position
from kit.kafka.outlet import Outlet
from kit.mongo import Database
from kit.probes import HttpServer
from kit.service import Service, Tools
from kit.settings import KafkaSettings
from ops.console import tail as watching
from ops.console.app import build
from ops.console.settings import ConsoleSettings
from ops.console.tail import Tail
from sandbox.stack.ports import free_ports
from schemas.attributes import Envelope, WireRecord
from schemas.contact import Contact
from schemas.events import Event, TakenOver
from schemas.topics import CALL_COMPLETED, CONTACT_LOG
from tests.running import eventually, records, running
from tests.unit.ops.console.rig import TOKEN, csrf_of

pytestmark = pytest.mark.stack
CONTACT = Contact("+525512345678")


def settings_of(kafka: KafkaSettings, database: Database | None = None, port: int = 0, **more: Any) -> ConsoleSettings:
    mongo = {"mongodb_uri": more.pop("mongo_uri"), "mongodb_database": database.name} if database is not None else {}
    about = kafka.model_dump() | mongo | {"console_token": TOKEN, "console_port": port} | more
    return ConsoleSettings(**about, _env_file=None)


async def said(outlet: Outlet, tools: Tools, name: str) -> None:
    await outlet.publish(CONTACT_LOG.name, Envelope(name, "hilo/test", tools.clock.now(), CONTACT, TakenOver(by="x")))


async def test_the_tail_hears_what_comes_and_nothing_before(kafka: KafkaSettings, outlet: Outlet, tools: Tools) -> None:
    heard: list[Envelope[Event]] = []
    changes: list[bool] = []
    await said(outlet, tools, "before")
    tail = Tail(settings_of(kafka), heard.append, lambda: changes.append(tail.up))
    await tail.start()
    try:
        await tail.listening.wait()
        await outlet.publish_record(CONTACT_LOG.name, WireRecord(b"k", b"no event", [("ce_type", b"nobody's")]))
        await said(outlet, tools, "after")

        async def there() -> bool:
            return [one.id for one in heard] == ["after"]

        await eventually(there, "it is heard, and what is no event is passed over")
        assert changes == [True]
    finally:
        await tail.stop()


@pytest.mark.parametrize("fault", [OSError("the broker is away"), asyncio.CancelledError()])
async def test_a_tail_that_lost_the_broker_goes_on_where_it_was(
    kafka: KafkaSettings, outlet: Outlet, tools: Tools, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    heard: list[Envelope[Event]] = []
    ups: list[bool] = []
    tail = Tail(settings_of(kafka), heard.append, lambda: ups.append(tail.up))
    whole = tail._listen

    async def once_broken() -> None:
        monkeypatch.setattr(tail, "_listen", whole)
        monkeypatch.setattr(tail, "_look", _gone)
        await whole()

    async def _gone(_: object) -> None:
        monkeypatch.undo()
        await tail.listening.wait()
        await said(outlet, tools, "meanwhile")
        raise fault

    monkeypatch.setattr(tail, "_listen", once_broken)
    await tail.start()
    try:

        async def again() -> bool:
            return ups == [True, False, True] and [one.id for one in heard] == ["meanwhile"]

        await eventually(again, "it hears what came meanwhile, once")
    finally:
        await tail.stop()


async def test_a_consumer_that_stands_still_is_replaced(
    kafka: KafkaSettings, outlet: Outlet, tools: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As aiokafka's does now and then after a restart of the broker: everything answers, and no record comes."""
    monkeypatch.setattr(watching, "LOOK_S", 0.2)
    heard: list[Envelope[Event]] = []
    ups: list[bool] = []
    tail = Tail(settings_of(kafka), heard.append, lambda: ups.append(tail.up))
    whole = tail._read

    async def deaf(_: object) -> None:
        monkeypatch.setattr(tail, "_read", whole)
        await asyncio.Event().wait()

    monkeypatch.setattr(tail, "_read", deaf)
    await tail.start()
    try:
        await tail.listening.wait()
        await said(outlet, tools, "unheard")

        async def again() -> bool:
            return ups == [True, False, True] and [one.id for one in heard] == ["unheard"]

        await eventually(again, "another one hears it")
    finally:
        await tail.stop()


async def test_without_a_broker_it_starts_and_says_so(tools: Tools) -> None:
    (port,) = free_ports(1)
    settings = ConsoleSettings(
        console_token=TOKEN, kafka_bootstrap_servers=f"127.0.0.1:{port}", console_port=port, _env_file=None
    )
    tail = Tail(settings, lambda _: None)
    await tail.start()
    assert not tail.up
    await tail.stop()


@pytest.fixture
async def browser(
    kafka: KafkaSettings, database: Database, mongo_uri: str, tools: Tools
) -> AsyncIterator[httpx.AsyncClient]:
    """Logged in to a console that runs as it does in production."""
    (port,) = free_ports(1)
    service = build(settings_of(kafka, database, port, mongo_uri=mongo_uri), tools)
    async with running(service), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        form = {"name": "Marta", "token": TOKEN, "csrf": csrf_of((await http.get("/login")).text)}
        base = str(http.base_url).rstrip("/")
        assert (await http.post("/login", data=form, headers={"origin": base})).status_code == 303
        page = (await http.get("/")).text
        http.headers.update({"origin": base, "x-csrf-token": csrf_of(page)})
        yield http


async def buried(outlet: Outlet, tools: Tools, count: int, reason: str = "unusable_address") -> None:
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    for number in range(count):
        record = WireRecord(b"k%d" % number, b'{"phoneNumber": "+5215512345678"}', [])
        position = Position(CALL_COMPLETED.name, 0, number)
        await letters.bury(record, position, group="processor-relay", reason=reason, detail="of +5215512345678")


@pytest.mark.expects_errors  # a burial is one
async def test_dead_letters_are_shown_put_back_and_dropped(
    browser: httpx.AsyncClient, outlet: Outlet, kafka: KafkaSettings, tools: Tools
) -> None:
    assert "No dead letters" in (await browser.get("/letters")).text
    await buried(outlet, tools, 3)
    await buried(outlet, tools, 1, "too_old")
    page = (await browser.get("/letters")).text
    assert (page.count("data-letter="), 'data-reason="too_old"' in page, "+52155" in page) == (4, True, False)
    letter = page.split('data-letter="')[1].split('"')[0]
    one = (await browser.get(f"/letters/one/{letter}")).text
    assert ("phoneNumber" in one, "+52155" in one, "processor-relay" in one) == (True, False, True)
    assert (await browser.get("/letters/one/99-99")).status_code == 404

    group = {"reason": "unusable_address", "topic": CALL_COMPLETED.name}
    ask = (await browser.get("/letters/ask", params={"what": "redrive", **group})).text
    assert "Put 3 letters back on call.completed?" in ask
    await buried(outlet, tools, 1)
    changed = (await browser.post("/letters/do", data={"what": "redrive", "count": 3, **group})).text
    assert ("Put 4 letters back" in changed, "Meanwhile the number has changed" in changed) == (True, True)
    await browser.post("/letters/do", data={"what": "redrive", "count": 4, **group})

    async def over() -> bool:
        return 'data-over="yes"' in (await browser.get("/letters/work")).text

    await eventually(over, "it is done")
    assert "4 put back." in (await browser.get("/letters/work")).text
    assert len(await records(kafka, CALL_COMPLETED.name, 4)) == 4
    rest = {"reason": "too_old", "topic": CALL_COMPLETED.name, "count": 1, "what": "drop"}
    assert "Say why" in (await browser.post("/letters/do", data=rest)).text
    await browser.post("/letters/do", data=rest | {"because": "a test"})
    await eventually(over, "it is dropped")
    assert "No dead letters" in (await browser.get("/letters")).text


@pytest.mark.expects_errors
async def test_health_tells_who_answers_and_who_is_behind(
    browser: httpx.AsyncClient, outlet: Outlet, tools: Tools
) -> None:
    await said(outlet, tools, "waits")
    await buried(outlet, tools, 2)
    page = (await browser.get("/health-page")).text
    for part in ("Kafka", "MongoDB"):
        assert f'data-part="{part}" data-ok="yes"' in page
    row = page.split('data-topic="contact.log"')[1].split("</tr>")[0]
    assert '<td class="number behind">1</td>' in row
    relay = page.split('data-topic="call.completed"')[1].split("</tr>")[0]
    assert relay.endswith('<td class="number behind">2</td>')
    assert 'hx-trigger="every 5s"' in (await browser.get("/health-page/now")).text
    assert (await browser.get("/health")).json()["service"] == "test"


async def test_an_open_page_does_not_hold_the_stop(
    kafka: KafkaSettings, database: Database, mongo_uri: str, tools: Tools
) -> None:
    (port,) = free_ports(1)
    service: Service = build(settings_of(kafka, database, port, mongo_uri=mongo_uri), tools)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as http:
        async with running(service):
            form = {"name": "Marta", "token": TOKEN, "csrf": csrf_of((await http.get("/login")).text)}
            await http.post("/login", data=form, headers={"origin": str(http.base_url).rstrip("/")})
            request = http.build_request("GET", "/api/events")
            stream = await http.send(request, stream=True)
            lines = stream.aiter_lines()
            assert await anext(lines) == "event: clock"
        assert [one async for one in lines][-1] == ""
        await stream.aclose()
    assert any(isinstance(part, HttpServer) for part in service.parts)
