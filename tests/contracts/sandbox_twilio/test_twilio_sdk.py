"""The unmodified SDK against the simulator."""

from datetime import timedelta

import httpx
import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from sandbox.twilio import TwilioSimulator
from tests.contracts.sandbox_twilio.sdk import OURS, USER, Sdk

HX = "HX" + "a" * 32


async def test_create_fetch_list_stream_update_delete(sim: TwilioSimulator, sdk: Sdk) -> None:
    await sim.inbound(USER, "hola")
    made = await sdk(lambda c: c.messages.create(to=USER, from_=OURS, body="ñ & 👍"))
    assert (str(made.status), str(made.direction), made.date_sent) == ("queued", "outbound-api", None)
    assert made.date_created is not None
    await sim.idle()
    fetched = await sdk(lambda c: c.messages(str(made.sid)).fetch())
    assert (str(fetched.status), fetched.body) == ("read", "ñ & 👍")
    listed = await sdk(lambda c: c.messages.list(to=USER, from_=OURS, limit=20))
    assert [message.sid for message in listed] == [made.sid]
    streamed = await sdk(lambda c: list(c.messages.stream(page_size=1)))
    assert [message.sid for message in streamed] == [made.sid, sim.messages[0].sid]
    redacted = await sdk(lambda c: c.messages(str(made.sid)).update(body=""))
    assert redacted.body == ""
    assert await sdk(lambda c: c.messages(str(made.sid)).delete())
    with pytest.raises(TwilioRestException) as gone:
        await sdk(lambda c: c.messages(str(made.sid)).fetch())
    assert (gone.value.status, gone.value.code) == (404, 20404)


# twilio 9.13 still builds what aiohttp 3.14 deprecates.
@pytest.mark.filterwarnings("ignore:(BasicAuth is|The 'auth' parameter is) deprecated:DeprecationWarning")
async def test_async_client(sim: TwilioSimulator) -> None:
    http = AsyncTwilioHttpClient()
    client = Client(sim.profile.account_sid, sim.profile.auth_token, http_client=http)
    client.api.base_url = client.messaging.base_url = client.content.base_url = sim.url
    try:
        user = await sim.inbound(USER, "hola")
        made = await client.messages.create_async(to=USER, from_=OURS, body="hi", status_callback="http://x.test/s")
        assert (await client.messages(str(made.sid)).fetch_async()).sid == made.sid
        assert len(await client.messages.list_async()) == 2
        typing = await client.messaging.v2.typing_indicator.create_async(channel="whatsapp", message_id=user.sid)
        assert typing.success
        sim.template(HX, "Hola {{1}}")
        approval = await client.content.v1.contents(HX).approval_fetch().fetch_async()
        assert approval.whatsapp
        assert approval.whatsapp["status"] == "approved"
        content = await client.content.v1.contents(HX).fetch_async()
        assert content.types == {"twilio/text": {"body": "Hola {{1}}"}}
        assert [one.sid async for one in await client.messages.stream_async(page_size=1)] == [made.sid, user.sid]
        assert (await client.messages(str(made.sid)).update_async(body="")).body == ""
        assert await client.messages(str(made.sid)).delete_async()
    finally:
        await http.close()


async def test_typing_marks_read_and_shows_for_a_while(sim: TwilioSimulator, sdk: Sdk) -> None:
    first = await sim.inbound(USER, "one")
    user = await sim.inbound(USER, "two")
    await sdk(lambda c: c.messaging.v2.typing_indicator.create(channel="whatsapp", message_id=user.sid))
    handset = sim.handset(USER)
    assert [(b.sid, b.tick) for b in handset.bubbles] == [(first.sid, "read"), (user.sid, "read")]
    await sim.idle()
    assert [span.ended_by for span in handset.typing] == ["timeout"]
    with pytest.raises(TwilioRestException) as unknown:
        await sdk(lambda c: c.messaging.v2.typing_indicator.create(channel="whatsapp", message_id="SM" + "0" * 32))
    assert unknown.value.code == 20404


@pytest.mark.parametrize(
    ("code", "change"),
    [
        (21602, {"body": None}),
        (21603, {"from_": None}),
        (21617, {"body": "x" * 1601}),
        (21211, {"to": "whatsapp:+0"}),
        (21910, {"to": "+34600111222"}),
        (63031, {"to": OURS}),
        (63007, {"from_": "whatsapp:+19998887777"}),
        (21654, {"content_variables": "{}"}),
        (21655, {"content_sid": "HX" + "f" * 32}),
        (21656, {"content_sid": HX, "content_variables": "nonsense"}),
        (21620, {"media_url": ["ftp://x.test/a.jpg"]}),
        (21623, {"media_url": ["http://x.test/a.jpg"] * 11}),
        (21624, {"validity_period": 0}),
        (21609, {"status_callback": "http://under_score.test/"}),
        (21610, {"to": "whatsapp:+34600999999"}),
    ],
)
async def test_errors_of_create(sim: TwilioSimulator, sdk: Sdk, code: int, change: dict[str, object]) -> None:
    sim.template(HX, "Hola")
    sim.contact("+34600999999", opted_out=True)
    arguments: dict[str, object] = {"to": USER, "from_": OURS, "body": "hi", **change}
    error = await sdk.error(**{name: value for name, value in arguments.items() if value is not None})
    assert (error.status, error.code) == (400, code)
    assert not sim.messages


async def test_no_to(rest: httpx.AsyncClient) -> None:
    answer = await rest.post("/Messages.json", data={"From": OURS, "Body": "hi"})
    assert (answer.status_code, answer.json()["code"]) == (400, 21604)


async def test_authentication(sim: TwilioSimulator, rest: httpx.AsyncClient) -> None:
    refused = await rest.get("/Messages.json", auth=("AC1", "x"))
    assert (refused.status_code, refused.json()["code"], refused.json()["message"]) == (401, 20003, "Authenticate")
    sim.configure(api_keys={"SK1": "secret"})
    assert (await rest.get("/Messages.json", auth=("SK1", "secret"))).status_code == 200
    other = await rest.get(f"{sim.url}/2010-04-01/Accounts/AC{'9' * 32}/Messages.json")
    assert (other.status_code, other.json()["code"]) == (404, 20404)


async def test_headers(rest: httpx.AsyncClient) -> None:
    headers = (await rest.get("/Messages.json")).headers
    assert headers["content-type"] == "application/json"
    assert headers["twilio-request-id"].startswith("RQ")
    assert len(headers["twilio-request-id"]) == 34
    assert headers["twilio-concurrent-requests"] == "1"
    assert float(headers["twilio-request-duration"]) >= 0


async def test_date_filters_and_pages(sim: TwilioSimulator, sdk: Sdk) -> None:
    now = sim.account.now()
    for n in range(5):
        await sim.inbound(USER, f"today {n}")
    sim.advance(86_400 * 2)
    await sim.inbound(USER, "later")
    tomorrow = now + timedelta(days=1)
    recent = await sdk(lambda c: c.messages.list(to=OURS, date_sent_after=tomorrow))
    assert [message.body for message in recent] == ["later"]
    older = await sdk(lambda c: c.messages.list(to=OURS, date_sent_before=tomorrow, page_size=2))
    assert [message.body for message in older] == [f"today {n}" for n in reversed(range(5))]
    exact = await sdk(lambda c: c.messages.list(date_sent=now.date()))
    assert len(exact) == 5
    sim.advance(-86_400 * 2)


async def test_unsent_is_missed_by_date_filters_and_lag_hides(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.configure(speed=0.001)
    await sdk.send()
    since = sim.account.now() - timedelta(hours=1)
    assert not await sdk(lambda c: c.messages.list(date_sent_after=since))
    assert len(await sdk(lambda c: c.messages.list())) == 1
    sim.configure(list_lag_ms=60_000)
    assert not await sdk(lambda c: c.messages.list())


async def test_media_needs_auth_and_the_cdn_refuses_it(sim: TwilioSimulator, rest: httpx.AsyncClient) -> None:
    sim.configure(media_404_first_n=1)
    received = await sim.inbound(USER, kind="audio", media=("audio/ogg", b"OggS-mine"))
    url = received.form["MediaUrl0"]
    assert url.startswith(f"{sim.url}/2010-04-01/Accounts/{sim.profile.account_sid}/Messages/MM")
    listed = (await rest.get(f"/Messages/{received.sid}/Media.json")).json()["media_list"]
    assert [media["content_type"] for media in listed] == ["audio/ogg"]
    async with httpx.AsyncClient() as anonymous:
        assert (await anonymous.get(url)).status_code == 401
        assert (await rest.get(url)).status_code == 404
        redirect = await rest.get(url)
        assert redirect.status_code == 307
        cdn = redirect.headers["location"]
        content = await anonymous.get(cdn)
        assert (content.content, content.headers["content-type"]) == (b"OggS-mine", "audio/ogg")
        assert (await rest.get(cdn)).status_code == 400
    assert sim.stats()["counts"]["cdn.credential_leaked"] == 1


async def test_messaging_service(sim: TwilioSimulator, sdk: Sdk) -> None:
    sim.configure(messaging_service_sid="MG" + "1" * 32)
    sim.open_window(USER)
    made = await sdk(lambda c: c.messages.create(to=USER, messaging_service_sid="MG" + "1" * 32, body="hi"))
    assert (str(made.status), made.from_) == ("accepted", None)
    await sim.idle()
    assert [status for status, _ in sim.messages[0].log] == ["accepted", "queued", "sent", "delivered", "read"]
