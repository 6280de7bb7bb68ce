"""The REST host as a bare ASGI app: routing, authentication, faults, Twilio's headers.

Not FastAPI: this is the hot path of load tests, on the same two cores as what they measure.
"""

import asyncio
import base64
import contextlib
import hashlib
import json
import re
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from sandbox.twilio.account import Account
from sandbox.twilio.courier import Courier
from sandbox.twilio.fate import pick
from sandbox.twilio.faults import Rule
from sandbox.twilio.ledger import Post
from sandbox.twilio.outbox import TwilioError
from sandbox.twilio.resources import Call, Reply, Resources, Route, as_json

_ACCOUNT = r"^/2010-04-01/Accounts/(?P<account>\w+)"
_MESSAGE = rf"{_ACCOUNT}/Messages/(?P<sid>\w+)"
_CREATE = "/Messages.json"
_HTML = b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"
_FIRST_CALLBACK_S = 10
_INTERRUPTIONS = {"error", "html", "problem", "redirect", "hang", "reset"}

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class _Silence(Exception):
    """No error: the caller shall get no answer."""


class RestApi:
    def __init__(self, account: Account, resources: Resources, courier: Courier) -> None:
        self._account = account
        self._courier = courier
        self._live = 0
        self._requests = 0
        self._dice = account.mint.dice()
        self._released = asyncio.Event()
        self._create = resources.create
        self._routes: list[tuple[re.Pattern[str], dict[str, Route]]] = [
            (re.compile(rf"{_ACCOUNT}/Messages\.json$"), {"POST": resources.create, "GET": resources.list}),
            (
                re.compile(rf"{_MESSAGE}\.json$"),
                {"GET": resources.fetch, "POST": resources.update, "DELETE": resources.delete},
            ),
            (re.compile(rf"{_MESSAGE}/Media\.json$"), {"GET": resources.list_media}),
            (re.compile(rf"{_MESSAGE}/Media/(?P<media_sid>ME\w+)$"), {"GET": resources.media}),
            (re.compile(r"^/v2/Indicators/Typing\.json$"), {"POST": resources.typing}),
            (re.compile(r"^/v1/Content/(?P<sid>HX\w+)(?:/ApprovalRequests)?$"), {"GET": resources.content}),
        ]
        self._cdn = re.compile(r"^/_cdn/(?P<media_sid>ME\w+)$"), resources.cdn

    def release(self) -> None:
        """Let go of requests that hang or wait."""
        self._released.set()
        self._released = asyncio.Event()

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._released.wait(), seconds / self._account.profile.speed)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        self._live += 1
        self._requests += 1
        began = time.perf_counter()
        try:
            call = await _read(scope, receive)
            reply = await self._answer(call)
            await self._write(send, reply, self._headers(began))
        except _Silence as silence:
            await self._fall_silent(str(silence), receive, send)
        finally:
            self._live -= 1

    async def _answer(self, call: Call) -> Reply:
        """Faults first, then the route; what went wrong as Twilio's JSON."""
        if self._account.profile.rest_latency.median_ms:
            await self._pause(pick(self._account.profile.rest_latency, self._dice))
        creates = call.method == "POST" and call.path.endswith(_CREATE)
        rule: Rule | None = None
        reply: Reply | None = None
        try:
            route, found = self._find(call)
            facts = {"to": call.form.get("To", ""), "body": call.form.get("Body", "")}
            rule = self._account.rules.take(rest=True, method=call.method, path=call.path, **facts)
            if rule:
                call = replace(call, fault=rule.fault.effect)
                reply = await self._disturbed(call, rule, route, found)
            else:
                reply = await self._run(call, route, found)
        except TwilioError as error:
            reply = Reply(error.status, error.body())
        finally:
            if creates:
                self._note(call, reply, rule)
        return reply

    async def _run(self, call: Call, route: Route, found: dict[str, str]) -> Reply:
        if self._live > self._account.profile.max_concurrency:
            raise TwilioError(20429, "Too Many Requests", 429)
        return await route(call, **found)

    async def _disturbed(self, call: Call, rule: Rule, route: Route, found: dict[str, str]) -> Reply:
        fault = rule.fault
        if fault.effect in _INTERRUPTIONS:
            if fault.after:
                await self._run(call, route, found)
            return self._interrupt(rule)
        if fault.effect == "delay" and not fault.after:
            await self._pause(fault.seconds)
        reply = await self._run(call, route, found)
        if fault.effect == "delay" and fault.after:
            await self._pause(fault.seconds)
        if fault.effect == "drip":
            return replace(reply, drip_s=fault.seconds)
        if fault.effect == "truncate":
            return replace(reply, body=reply.body[: len(reply.body) // 2])
        if fault.effect == "callback_first" and reply.sid:
            await self._first_callback(reply.sid)
        return reply

    def _interrupt(self, rule: Rule) -> Reply:
        fault = rule.fault
        if fault.effect == "html":
            return Reply(502, _HTML, "text/html")
        if fault.effect == "redirect":
            return Reply(302, headers=((b"location", f"{self._account.base_url}/elsewhere".encode()),))
        if fault.effect == "error":
            code = fault.code or {429: 20429, 503: 20503}.get(fault.http, 20500)
            headers = ((b"retry-after", str(fault.retry_after).encode()),) if fault.retry_after is not None else ()
            return Reply(fault.http, TwilioError(code, "Injected fault", fault.http).body(), headers=headers)
        if fault.effect == "problem":
            code = fault.code or 20500
            link = f"https://www.twilio.com/docs/api/errors/{code}"
            problem = {"type": link, "title": "Injected fault", "status": fault.http, "code": code}
            facts = {**problem, "detail": "An injected fault", "instance": "urn:simulator"}
            return replace(as_json(facts, fault.http), content_type="application/problem+json")
        raise _Silence(fault.effect)

    def _find(self, call: Call) -> tuple[Route, dict[str, str]]:
        pattern, cdn = self._cdn
        if match := pattern.match(call.path):
            return cdn, match.groupdict()
        self._authenticate(call)
        for known, methods in self._routes:
            if match := known.match(call.path):
                found = match.groupdict()
                ours = found.pop("account", self._account.profile.account_sid) == self._account.profile.account_sid
                if ours and call.method in methods:
                    return methods[call.method], found
        raise TwilioError(20404, f"The requested resource {call.path} was not found", 404)

    def _authenticate(self, call: Call) -> None:
        profile = self._account.profile
        scheme, _, value = (call.authorization or "").partition(" ")
        try:
            user, _, secret = base64.b64decode(value).decode().partition(":")
        except ValueError:
            user = secret = ""
        known = {profile.account_sid: profile.auth_token, **profile.api_keys}
        if scheme != "Basic" or not secret or known.get(user) != secret:
            raise TwilioError(20003, "Authenticate", 401)

    async def _first_callback(self, sid: str) -> None:
        told = self._courier.first_callback[sid] = asyncio.Event()
        try:
            await asyncio.wait_for(told.wait(), _FIRST_CALLBACK_S)
        except TimeoutError:
            self._courier.first_callback.pop(sid, None)

    def _note(self, call: Call, reply: Reply | None, rule: Rule | None) -> None:
        """One line of the ledger for every attempt to create a message."""
        ledger = self._account.ledger
        seen = reply.status if reply else None
        code = None
        if reply and reply.status not in range(200, 300) and reply.content_type.endswith("json"):
            code = json.loads(reply.body).get("code") if reply.body else None
        ledger.counts["posts"] += 1
        ledger.counts[f"posts.{seen or 'silent'}"] += 1
        ledger.posts.append(
            Post(
                n=next(ledger.serial),
                at=self._account.now().isoformat(),
                to=call.form.get("To", ""),
                body=call.form.get("Body", ""),
                http=seen,
                code=code,
                fault=rule.fault.effect if rule else None,
                sid=reply.sid if reply else None,
            )
        )

    def _headers(self, began: float) -> list[tuple[bytes, bytes]]:
        rid = hashlib.md5(f"RQ{self._requests}".encode(), usedforsecurity=False).hexdigest()
        return [
            (b"twilio-request-id", f"RQ{rid}".encode()),
            (b"twilio-concurrent-requests", str(self._live).encode()),
            (b"twilio-request-duration", f"{time.perf_counter() - began:.3f}".encode()),
        ]

    async def _fall_silent(self, how: str, receive: Receive, send: Send) -> None:
        if how == "hang":
            gone = asyncio.ensure_future(receive())
            over = asyncio.ensure_future(self._released.wait())
            await asyncio.wait([gone, over], return_when=asyncio.FIRST_COMPLETED)
            for future in (gone, over):
                future.cancel()
        # Where uvicorn keeps the socket: ASGI has no word for breaking a connection.
        send.__self__.transport.abort()  # type: ignore[attr-defined]
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _write(self, send: Send, reply: Reply, headers: list[tuple[bytes, bytes]]) -> None:
        if reply.status != 204:
            headers.append((b"content-type", reply.content_type.encode()))
            headers.append((b"content-length", str(len(reply.body)).encode()))
        start = {"type": "http.response.start", "status": reply.status, "headers": [*headers, *reply.headers]}
        await send(start)
        if reply.drip_s is not None:
            for number in range(len(reply.body)):
                await self._pause(reply.drip_s)
                await send({"type": "http.response.body", "body": reply.body[number : number + 1], "more_body": True})
            reply = replace(reply, body=b"")
        await send({"type": "http.response.body", "body": reply.body})


async def _read(scope: dict[str, Any], receive: Receive) -> Call:
    chunks = []
    while True:
        event = await receive()
        chunks.append(event.get("body", b""))
        if not event.get("more_body"):
            break
    pairs = parse_qsl(b"".join(chunks).decode(), keep_blank_values=True)
    headers = dict(scope["headers"])
    authorization = headers.get(b"authorization")
    return Call(
        method=scope["method"],
        path=scope["path"],
        query=dict(parse_qsl(scope["query_string"].decode(), keep_blank_values=True)),
        form=dict(pairs),
        media_urls=[value for name, value in pairs if name == "MediaUrl"],
        authorization=authorization.decode("latin-1") if authorization is not None else None,
    )
