"""What a client does on the page arrives as Twilio's webhook; what Hilo sends arrives on the page."""

from typing import Any

import httpx
import pytest

from sandbox.phone.people import MADE_UP
from tests.contracts.sandbox_phone.conftest import Scene, listening

LUCIA, CARLOS, NOA = "whatsapp:+34611020304", "whatsapp:+525512345678", "whatsapp:+34611090807"


def person(state: dict[str, Any], address: str) -> dict[str, Any]:
    return next(one for one in state["people"] if one["address"] == address)


async def test_made_up_people_are_there_and_more_can_be_added(scene: Scene) -> None:
    state = await scene.state()
    assert [one["name"] for one in state["people"]] == [name for name, _, _ in MADE_UP]
    assert state["number"] == "+14155238886"
    added = await scene.post("contacts", name="Eva", number="+34 (600) 111-222")
    assert (added.status_code, added.json()["address"]) == (201, "whatsapp:+34600111222")
    unknown = (await scene.post("contacts", name="Sombra", hidden=True)).json()
    assert unknown["shown_as"].startswith("ES.")
    assert unknown["phone"] is None
    named = await scene.post("contacts", name="Id", number="MX.ENT.abc123")
    assert named.json()["shown_as"] == "MX.ENT.abc123"


@pytest.mark.parametrize("number", ["", "600111222", "+34", "call me", "+34600111222/../reset"])
async def test_what_is_no_number_is_said(scene: Scene, number: str) -> None:
    refused = await scene.post("contacts", name="Eva", number=number)
    assert refused.status_code == 422
    assert "+34611020304" in refused.json()["detail"]


async def test_a_message_and_its_answer_live(scene: Scene) -> None:
    async with listening(scene) as page:
        said = (await scene.post("messages", contact=CARLOS, text="hola <script>")).json()
        form = (await scene.webhooks(1))[0]
        # The number as it was typed: Mexico's second spelling.
        assert (form["From"], form["Body"]) == ("whatsapp:+5215512345678", "hola <script>")
        assert form["MessageSid"] == said["sid"]
        bubble = await page.has("bubble")
        assert (bubble["address"], bubble["bubble"]["sid"]) == (CARLOS, said["sid"])
        assert form["ProfileName"] == "Carlos Méndez"
        scene.twilio.handset(CARLOS).start_typing(scene.twilio.account.now(), said["sid"])
        assert await page.has("typing") == {"address": CARLOS, "on": True}
        scene.twilio.handset(CARLOS).read_until(scene.twilio.account.now(), said["sid"])
        assert await page.has("tick") == {"address": CARLOS, "sid": said["sid"], "tick": "read"}
    shown = person(await scene.state(), CARLOS)
    assert (shown["typing"], [one["tick"] for one in shown["bubbles"]]) == (True, ["read"])


async def test_what_hilo_did_not_take_is_said(scene: Scene) -> None:
    scene.hooks.answer = lambda _: (503, None, b"")
    async with listening(scene) as page:
        sid = (await scene.post("messages", contact=LUCIA, text="hola")).json()["sid"]
        assert await page.has("lost") == {"address": LUCIA, "sid": sid, "lost": "503"}
    assert person(await scene.state(), LUCIA)["bubbles"][0]["lost"] == "503"


async def test_who_hides_the_number_shows_a_user_id(scene: Scene) -> None:
    await scene.post("messages", contact=NOA, text="hola")
    form = (await scene.webhooks(1))[0]
    assert form["From"] == f"whatsapp:{person(await scene.state(), NOA)['shown_as']}"
    assert "WaId" not in form


async def test_a_burst_keeps_its_order(scene: Scene) -> None:
    done = await scene.post("burst", contact=LUCIA, texts=["uno", " ", "dos", "tres"], pause_ms=20)
    assert len(done.json()["sids"]) == 3
    assert [form["Body"] for form in await scene.webhooks(3)] == ["uno", "dos", "tres"]


async def test_reply_reaction_button_and_place(scene: Scene) -> None:
    sid = (await scene.post("messages", contact=LUCIA, text="hola")).json()["sid"]
    await scene.webhooks(1)
    does: list[dict[str, Any]] = [
        {"text": "sobre esto", "reply_to": sid},
        {"kind": "reaction", "text": "👍", "reply_to": sid},
        {"kind": "button", "text": "Sí", "reply_to": sid},
        {"kind": "location", "text": "Sol", "label": "Sol", "latitude": 40.4, "longitude": -3.7},
    ]
    for n, body in enumerate(does):
        assert (await scene.post("messages", contact=LUCIA, **body)).status_code == 201
        await scene.webhooks(n + 2)
    _, reply, reaction, button, place = await scene.webhooks(5)
    assert reply["OriginalRepliedMessageSid"] == reaction["OriginalRepliedMessageSid"] == sid
    assert (reaction["MessageType"], reaction["Body"]) == ("reaction", "👍")
    assert (button["ButtonText"], button["MessageType"]) == ("Sí", "interactive")
    assert (place["Latitude"], place["Longitude"], place["Label"]) == ("40.4", "-3.7", "Sol")


async def test_nothing_to_send_and_nobody_to_send_it(scene: Scene) -> None:
    assert (await scene.post("messages", contact=LUCIA, text=" \n")).status_code == 422
    assert (await scene.post("messages", contact="whatsapp:+34600000000", text="hola")).status_code == 404
    assert (await scene.post("burst", contact="nobody", texts=["hola"])).status_code == 404
    assert not scene.hooks.requests


async def test_a_voice_note_says_what_was_written(scene: Scene) -> None:
    notes = [(await scene.post("voice", contact=LUCIA, says=text)).json()["sid"] for text in ("quiero cita", "gracias")]
    forms = await scene.webhooks(2)
    assert {form["MediaContentType0"] for form in forms} == {"audio/wav"}
    for sid, text in zip(notes, ("quiero cita", "gracias"), strict=True):
        file = await scene.http.get(f"/media/{sid}/0")
        assert file.content.startswith(b"RIFF")
        assert scene.agent.world.recordings.hear(file.content).text == text


async def test_files_are_shown_only_where_no_browser_runs_them(scene: Scene) -> None:
    query = {"contact": LUCIA, "kind": "image"}
    picture = await scene.http.post("/api/media", params=query, content=b"png", headers={"content-type": "image/png"})
    shown = await scene.http.get(f"/media/{picture.json()['sid']}/0")
    assert (shown.content, shown.headers["content-type"]) == (b"png", "image/png")
    query = {"contact": LUCIA, "kind": "document", "text": "evil.html"}
    evil = await scene.http.post("/api/media", params=query, content=b"<b>", headers={"content-type": "text/html"})
    saved = await scene.http.get(f"/media/{evil.json()['sid']}/0")
    assert saved.headers["content-type"] == "application/octet-stream"
    assert saved.headers["content-disposition"] == "attachment"
    assert saved.headers["x-content-type-options"] == "nosniff"
    assert (await scene.webhooks(2))[1]["Body"] == "evil.html"
    assert (await scene.http.get("/media/MM0/0")).status_code == 404
    assert (await scene.http.post("/api/media", params=query, content=b"")).status_code == 422


async def test_a_file_that_whatsapp_would_not_take(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.phone.routes.LARGEST", 10)
    query = {"contact": LUCIA, "kind": "image"}
    refused = await scene.http.post("/api/media", params=query, content=b"x" * 11)
    assert (refused.status_code, "16 MB" in refused.text) == (413, True)


async def test_strangers_and_a_simulator_that_forgot_everything(scene: Scene) -> None:
    async with listening(scene) as page:
        scene.twilio.say("+34600999888", "nadie me conoce")
        stranger = await page.has("person")
        assert stranger["address"] == "whatsapp:+34600999888"
        await page.has("bubble", lambda told: told["address"] == stranger["address"])
        assert (await scene.post("messages", contact=stranger["address"], text="hola")).status_code == 201
        await scene.twilio.reset()
        again = await page.has("people")
        assert [one["name"] for one in again] == [name for name, _, _ in MADE_UP]


@pytest.mark.expects_errors  # uvicorn says that it cuts a long poll
async def test_a_simulator_that_is_away_is_said_and_found_again(scene: Scene) -> None:
    async with listening(scene) as page:
        await scene.twilio._control.stop()
        assert await page.has("link", lambda told: not told["twilio"])
        refused = await scene.post("messages", contact=LUCIA, text="hola")
        assert (refused.status_code, "twilio does not answer" in refused.text) in {(503, True), (404, False)}
        await scene.twilio._control.start()
        assert await page.has("link", lambda told: told["twilio"])


async def test_the_page_in_both_languages(scene: Scene) -> None:
    for wanted, lang in (("es-ES,es;q=0.9,en;q=0.8", "es"), ("en-GB", "en"), ("fr,es;q=0.5", "es"), ("", "en")):
        page = await scene.http.get("/", headers={"accept-language": wanted})
        assert f'<html lang="{lang}">' in page.text


async def answer(http: httpx.AsyncClient, **headers: str) -> int:
    return (await http.post("/api/kill", json={"part": "ingress"}, headers=headers)).status_code


async def test_only_this_page_comes_in(scene: Scene) -> None:
    ours = str(scene.http.base_url).rstrip("/")
    async with httpx.AsyncClient(base_url=ours, trust_env=False) as http:
        assert (await http.get("/", headers={"host": "evil.example"})).status_code == 403
        assert (await http.get("/", headers={"host": "127.0.0.1:1"})).status_code == 403
        for foreign in ("http://evil.example", "null", ours.replace("http", "https"), f"{ours}.evil.example"):
            assert await answer(http, origin=foreign) == 403
        assert await answer(http, **{"sec-fetch-site": "cross-site"}) == 403
        assert scene.machine.killed == []
        local = ours.replace("127.0.0.1", "localhost")
        assert await answer(http, host=local.removeprefix("http://"), origin=local) == 202
        assert await answer(http) == 202  # a shell's curl
        page = await http.get("/")
        assert page.headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "access-control-allow-origin" not in page.headers
