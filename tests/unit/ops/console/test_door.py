"""Nobody comes in without a session, no POST goes through that another page made, and no page leaks what it has."""

import re
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute

from ops.console.door import OPEN
from ops.console.sessions import Attempts, Sessions, clean_name
from tests.conftest import FakeClock
from tests.unit.ops.console.rig import BASE, TOKEN, Console, csrf_of, flags
from tests.unit.ops.stories import World
from tests.unit.processor.states import CONTACT, message

FOREIGN = "https://evil.example"


def routes(console: Console) -> list[tuple[str, str]]:
    """Every route of it, with something in place of its parameters."""
    app: FastAPI = console.app._app  # type: ignore[attr-defined]

    def walk(found: object) -> list[APIRoute]:
        if isinstance(found, APIRoute):
            return [found]
        inner = getattr(getattr(found, "original_router", found), "routes", [])
        return [one for route in inner for one in walk(route)]

    known = walk(app)
    return [(method, re.sub(r"\{\w+\}", "conv_1", route.path)) for route in known for method in route.methods or ()]


def test_every_route_is_looked_at(console: Console) -> None:
    found = set(routes(console))
    assert {("GET", "/letters"), ("POST", "/chats/conv_1/say"), ("GET", "/api/events"), ("POST", "/logout")} <= found
    assert len(found) > 20
    assert {"/login", "/health", "/ready", "/metrics"} == OPEN


async def test_every_route_asks_a_stranger_to_log_in(console: Console) -> None:
    async with console.browser() as browser, console.browser(accept="*/*") as program:
        for method, path in routes(console):
            if path in OPEN:
                continue
            answer = await browser.request(method, path, headers={"origin": BASE})
            expected = (303, "/login") if method == "GET" else (401, None)
            assert (answer.status_code, answer.headers.get("location")) == expected, path
            assert (await program.request(method, path)).status_code == 401, path
            part = await browser.request(method, path, headers={"hx-request": "true"})
            assert (part.status_code, part.headers["hx-redirect"]) == (401, "/login")


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"origin": FOREIGN}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "null", "sec-fetch-site": "cross-site"}, 403),
        ({"origin": BASE, "sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 403),
        ({"origin": f"{BASE}.evil.example"}, 403),
        ({"origin": "http://["}, 403),
        ({"origin": "null", "sec-fetch-site": "same-origin"}, 303),
        ({"origin": BASE}, 303),
        ({"origin": BASE.replace("http:", "https:")}, 303),  # a proxy ends TLS before us
    ],
)
async def test_a_post_has_to_come_from_our_own_page(console: Console, headers: dict[str, str], status: int) -> None:
    async with console.logged_in() as browser:
        del browser.headers["origin"]
        assert (await browser.post("/language", data={"language": "es"}, headers=headers)).status_code == status


async def test_every_post_needs_the_token_of_its_session(console: Console) -> None:
    async with console.logged_in() as browser, console.logged_in() as other:
        for method, path in routes(console):
            if method != "POST":
                continue
            for wrong in ("", "0" * 64, other.headers["x-csrf-token"], "ñ"):
                sent = {"x-csrf-token": wrong.encode()}
                answer = await browser.post(path, data={"csrf": "1"}, headers=httpx.Headers(list(sent.items())))  # type: ignore[arg-type]
                assert answer.status_code == 403, (path, wrong)
        assert console.log.published == []
        form = {"language": "es", "csrf": browser.headers.pop("x-csrf-token")}
        assert (await browser.post("/language", data=form)).status_code == 303, "a form without scripts"


async def test_every_page_keeps_to_itself(console: Console) -> None:
    async with console.logged_in() as browser, console.browser() as stranger:
        answers = [await browser.get(path) for path in ("/", "/chats/conv_none", "/nowhere", "/static/console.css")]
        answers += [await stranger.get("/login"), await stranger.get("/"), await stranger.post("/login")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        told = {name: answer.headers[name] for name in ("x-content-type-options", "referrer-policy", "x-frame-options")}
        assert list(told.values()) == ["nosniff", "no-referrer", "DENY"]
        static = answer.url.path.startswith("/static/")
        assert answer.headers["cache-control"] == ("private, max-age=3600" if static else "no-store")
        assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son[a-z]+=|hx-on", answer.text)
    assert [one.status_code for one in answers[:3]] == [200, 404, 404]


async def test_only_the_token_opens(console: Console) -> None:
    await console.desk.board.load()
    async with console.browser() as browser:
        form = {"name": "Marta", "token": TOKEN[:-1], "csrf": csrf_of((await browser.get("/login")).text)}
        wrong = await browser.post("/login", data=form, headers={"origin": BASE})
        assert (wrong.status_code, "not right" in wrong.text, TOKEN[:-1] in wrong.text) == (403, True, False)
        nameless = await browser.post("/login", data=form | {"name": " \n ", "token": TOKEN}, headers={"origin": BASE})
        assert (nameless.status_code, "hilo_session" in browser.cookies) == (422, False)
        part = await browser.post("/login", data=form, headers={"origin": BASE, "hx-request": "true"})
        assert (part.status_code, "not right" in part.text) == (200, True), "htmx shows only what succeeded"
        right = await browser.post("/login", data=form | {"token": TOKEN}, headers={"origin": BASE})
        assert (right.status_code, right.headers["location"]) == (303, "/")
        assert (await browser.get("/")).status_code == 200
        assert (await browser.get("/login")).headers["location"] == "/"


async def test_the_door_shuts_after_five_wrong_tokens_and_opens_again(console: Console, clock: FakeClock) -> None:
    async with console.browser() as browser:
        form = {"name": "Marta", "token": "wrong", "csrf": csrf_of((await browser.get("/login")).text)}

        async def tried(token: str) -> httpx.Response:
            return await browser.post("/login", data=form | {"token": token}, headers={"origin": BASE})

        assert [(await tried("wrong")).status_code for _ in range(6)] == [403] * 5 + [429]
        shut = await tried(TOKEN)
        assert (shut.status_code, int(shut.headers["retry-after"])) == (429, 61)
        clock.advance(Attempts.SHUT_S)
        assert (await tried(TOKEN)).status_code == 303


@pytest.mark.parametrize("secure", [False, True])
async def test_the_cookie_is_out_of_reach(console: Console, secure: bool) -> None:
    async with console.browser(**({"x-forwarded-proto": "https"} if secure else {})) as browser:
        form = {"name": "Marta", "token": TOKEN, "csrf": csrf_of((await browser.get("/login")).text)}
        if secure:  # the browser of this test speaks http, and keeps a secure cookie to itself
            browser.cookies.set("hilo_login", browser.cookies["hilo_login"], domain="console.test")
            for one in browser.cookies.jar:
                one.secure = False
        cookie = flags(await browser.post("/login", data=form, headers={"origin": BASE}))["hilo_session"]
    assert ("httponly" in cookie, "samesite=strict" in cookie, "secure" in cookie) == (True, True, secure)
    assert "sekreto" not in cookie


@pytest.mark.parametrize("foreign", ['a={"x": 1}', "a=b c", "nonsense", "expires=1", "x@y=1", 'a="x', "a=\xe9"])
async def test_a_cookie_of_another_page_on_this_host_hides_none_of_ours(console: Console, foreign: str) -> None:
    async with console.logged_in() as browser:
        cookie = f"{foreign}; hilo_session={browser.cookies['hilo_session']}".encode("latin-1")
        browser.cookies.clear()
        headers = httpx.Headers([(b"cookie", cookie), (b"accept", b"text/html")])
        assert (await browser.get("/", headers=headers)).status_code == 200


async def test_half_a_form_is_no_form(console: Console, world: World) -> None:
    """The connection broke while the operator's words came in."""
    await world.handle(("SM1", message("hola")))
    (conversation,) = await world.reads.conversations(CONTACT)
    async with console.logged_in() as browser:
        headers = {**browser.headers, "host": "console.test", "content-type": "application/x-www-form-urlencoded"}
        headers["cookie"] = f"hilo_session={browser.cookies['hilo_session']}"
    scope = {
        "type": "http",
        "method": "POST",
        "path": f"/chats/{conversation.id}/say",
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
    }
    messages = [
        {"type": "http.request", "body": b"text=No+se+preocupe", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(_: Any) -> None:
        """Nobody is there."""

    await console.app(scope, receive, send)
    assert console.log.published == []


async def test_logging_out_ends_the_session_everywhere(console: Console) -> None:
    async with console.logged_in() as browser, console.browser() as thief:
        thief.cookies.set("hilo_session", browser.cookies["hilo_session"])
        assert (await thief.get("/")).status_code == 200
        assert (await browser.post("/logout")).headers["location"] == "/login"
        assert (await thief.get("/")).status_code == 303


def test_a_session_is_over_when_its_time_is(clock: FakeClock) -> None:
    sessions = Sessions(TOKEN, timedelta(hours=1), clock)
    cookie = sessions.begin("Marta")
    found = sessions.read(cookie)
    assert found
    assert found.by == "Marta"
    body, _, signature = cookie.partition(".")
    forged = (
        f"{body[:-2]}AA.{signature}",
        f"{body}.{'0' * 64}",
        f"{body}.ñ",
        body,
        "",
        "é.é",
        "=.=",
        f"{body}.{signature}x",
    )
    assert [sessions.read(one) for one in forged] == [None] * len(forged)
    assert Sessions("another-token", timedelta(hours=1), clock).read(cookie) is None, "a new token ends every session"
    assert Sessions(TOKEN, timedelta(hours=1), clock).read(cookie), "a restart does not"
    clock.advance(3600)
    assert sessions.read(cookie) is None


async def test_a_form_is_not_read_for_ever(console: Console) -> None:
    async with console.logged_in() as browser:
        assert (await browser.post("/search", data={"text": "x" * 70_000})).status_code == 413
        assert (await browser.put("/search")).status_code == 405


@pytest.mark.parametrize("back", ["//evil.example", "/\\evil.example", "https://evil.example"])
async def test_the_choice_of_a_language_leads_nowhere_else(console: Console, back: str) -> None:
    async with console.logged_in() as browser:
        answer = await browser.post("/language", data={"language": "es", "back": back})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert 'lang="es"' in (await browser.get("/")).text


def test_a_name_is_one_clean_line() -> None:
    assert clean_name("  Ma\x1b[1mrta\u202e \n Ruiz " + "x" * 90) == ("Ma[1mrta Ruiz " + "x" * 90)[:40]
