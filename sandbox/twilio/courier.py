"""Carries webhooks to us: signed, retried as the URL's overrides say, disturbed as the rules say."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, cast
from urllib.parse import urlsplit

from sandbox.twilio.account import Account
from sandbox.twilio.answers import Answer, read_answer, read_failure
from sandbox.twilio.faults import Rule
from sandbox.twilio.ledger import Delivery
from sandbox.twilio.poster import ConnectFailed, Poster, ReadFailed
from sandbox.twilio.wire import Overrides, encode_form, sign

Signing = Literal["good", "wrong_signature", "http_signature", "old_token"]
_OK = range(200, 300)
_CLIENT_ERRORS = range(400, 500)


@dataclass(frozen=True, slots=True)
class Request:
    """One delivery; its token stays the same over its attempts."""

    kind: Literal["inbound", "status", "fallback"]
    sid: str
    status: str
    contact: str
    url: str
    form: dict[str, str]
    token: str
    signing: Signing = "good"
    fault: str | None = None
    done: Callable[[Answer], None] | None = None

    def facts(self) -> dict[str, str]:
        body = self.form.get("Body", "")
        return {"kind": self.kind, "status": self.status, "to": self.contact, "path": self.url, "body": body}


class Courier:
    def __init__(self, account: Account) -> None:
        self._account = account
        self._poster = Poster()
        self._slots = asyncio.Semaphore(account.profile.webhook_concurrency)
        self._outage_until = 0.0
        self.first_callback: dict[str, asyncio.Event] = {}
        """Sid → set when its first callback is over; only for sids somebody waits for."""

    def close(self) -> None:
        self._poster.close()

    def forget(self) -> None:
        self._outage_until = 0
        self._slots = asyncio.Semaphore(self._account.profile.webhook_concurrency)
        for event in self.first_callback.values():
            event.set()
        self.first_callback.clear()

    def suffer_outage(self, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._outage_until = loop.time() + seconds / self._account.profile.speed

    def send(self, request: Request) -> None:
        """Deliver in the background, or do with it what a rule says."""
        self._account.ledger.counts[request.kind] += 1
        rule = self._account.rules.take(rest=False, **request.facts())
        if rule is None:
            self._start(request)
        else:
            self._disturb(replace(request, fault=rule.fault.effect), rule)

    def _disturb(self, request: Request, rule: Rule) -> None:
        agenda, mint, fault = self._account.agenda, self._account.mint, rule.fault
        again = replace(request, done=None)
        match fault.effect:
            case "drop":
                self._finish(request, Answer(error="dropped"))
            case "hold":
                agenda.later(fault.seconds, lambda: self._start(request))
            case "duplicate" | "replay":
                self._start(request)
                if fault.effect == "replay":
                    again = replace(again, token=mint.token(f"again {request.token}"))
                agenda.later(fault.seconds, lambda: self._start(again))
            case "late_failed" | "unknown_sid":
                self._start(request)
                self._lie(again, rule)
            case "reverse" | "shuffle":
                self._collect(request, rule)
            case "fallback_only":
                self._start(replace(request, url=self._account.profile.fallback_url or "", kind="fallback"))
            case _:
                self._start(replace(request, signing=cast("Signing", fault.effect)))

    def _lie(self, request: Request, rule: Rule) -> None:
        """A callback beside the true one: a failure after the end, or about nobody's message."""
        mint = self._account.mint
        token = mint.token(f"lie {request.token}")
        if rule.fault.effect == "unknown_sid":
            self._start(_altered(request, token, sid=mint.sid_about("SM", token)))
        else:
            failed = _altered(request, token, status="failed")
            self._account.agenda.later(rule.fault.seconds, lambda: self._start(failed))

    def _collect(self, request: Request, rule: Rule) -> None:
        if not rule.held:
            self._account.agenda.later(rule.fault.seconds, lambda: self._release(rule))
        rule.held.append(request)
        if len(rule.held) >= rule.fault.count:
            self._release(rule)

    def _release(self, rule: Rule) -> None:
        requests: list[Request] = list(reversed(rule.held))
        rule.held.clear()
        if rule.fault.effect == "shuffle":
            random.Random(rule.fault.seed + rule.done).shuffle(requests)

        async def one_by_one() -> None:
            for request in requests:
                await self._deliver(request)

        self._account.agenda.track(asyncio.create_task(one_by_one()))

    def _start(self, request: Request) -> None:
        self._account.agenda.track(asyncio.create_task(self._deliver(request)))

    async def _deliver(self, request: Request) -> None:
        """All attempts, then the fallback URL if there is one and the message would be lost."""
        answer = await self._try(request)
        fallback = self._account.profile.fallback_url
        if answer.complaint and request.kind == "inbound":
            self._complain(answer.complaint, request, answer)
            if fallback:
                form = {**request.form, "ErrorCode": str(answer.complaint), "ErrorUrl": request.url.partition("#")[0]}
                answer = await self._try(replace(request, kind="fallback", url=fallback, form=form))
        elif answer.complaint:
            self._complain(answer.complaint, request, answer)
        self._finish(request, answer)

    async def _try(self, request: Request) -> Answer:
        overrides = Overrides.parse(request.url)
        async with self._slots:
            deadline = time.monotonic() + overrides.total_s
            for attempt in range(1, overrides.retries + 2):
                left = deadline - time.monotonic()
                answer = await self._attempt(request, overrides, attempt, left)
                if answer.error is None or not overrides.retried(answer.error):
                    break
                pause = self._account.profile.retry_pause_ms / 1000 / self._account.profile.speed
                if attempt > overrides.retries or time.monotonic() + pause >= deadline:
                    break
                await asyncio.sleep(pause)
        return answer

    async def _attempt(self, request: Request, overrides: Overrides, attempt: int, left: float) -> Answer:
        ledger = self._account.ledger
        delivery = Delivery(
            n=next(ledger.serial),
            at=self._account.now().isoformat(),
            kind=request.kind,
            sid=request.sid,
            status=request.status,
            contact=request.contact,
            url=overrides.url,
            attempt=attempt,
            token=request.token,
            form=request.form,
            fault=request.fault,
        )
        ledger.deliveries.append(delivery)
        began = time.perf_counter()
        answer = await self._exchange(request, overrides, left)
        delivery.latency_ms = round((time.perf_counter() - began) * 1000, 2)
        delivery.http, delivery.content_type, delivery.error = answer.http, answer.content_type, answer.error
        ledger.answered(delivery)
        return answer

    async def _exchange(self, request: Request, overrides: Overrides, left: float) -> Answer:
        if asyncio.get_running_loop().time() < self._outage_until or not overrides.url:
            return read_failure("ct")
        body, headers = self._seal(request, overrides.url)
        target, host = self._target(overrides.url)
        if host:
            headers["Host"] = host
        limits = {"connect_s": overrides.connect_s, "read_s": overrides.read_s, "total_s": left}
        try:
            response = await self._poster.post(target, headers, body, **limits)
        except ConnectFailed:
            return read_failure("ct")
        except ReadFailed:
            return read_failure("rt")
        return _read(request.kind, response.status, response.content_type, response.body)

    def _seal(self, request: Request, url: str) -> tuple[bytes, dict[str, str]]:
        profile = self._account.profile
        secret = "a-token-rotated-away" if request.signing == "old_token" else profile.auth_token
        signed = url.replace("https://", "http://", 1) if request.signing == "http_signature" else url
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "I-Twilio-Idempotency-Token": request.token,
            "User-Agent": "TwilioProxy/1.1",
            "Accept": "*/*",
        }
        if profile.shared_key and request.signing == "good":
            key, secret = profile.shared_key
            headers["X-Twilio-Webhooks-Signature-Settings"] = f"key={key},algorithm=HMAC_SHA256"
            headers["X-Twilio-Signature"] = sign(secret, signed, request.form, "sha256")
        else:
            signature = sign(secret, signed, request.form)
            wrong = request.signing == "wrong_signature"
            headers["X-Twilio-Signature"] = signature[::-1] if wrong else signature
        return encode_form(request.form), headers

    def _target(self, url: str) -> tuple[str, str | None]:
        """Where to connect for a public URL, and the Host header that hides it."""
        for public, private in self._account.profile.connect.items():
            if url.startswith((f"{public}/", f"{public}?")) or url == public:
                return private + url[len(public) :], urlsplit(public).netloc
        return url, None

    def _complain(self, code: int, request: Request, answer: Answer) -> None:
        text = f"{request.kind} webhook answered {answer.http or answer.error} {answer.content_type or ''}".strip()
        self._account.ledger.complain(code, request.sid, request.url, text, self._account.now())

    def _finish(self, request: Request, answer: Answer) -> None:
        self._account.ledger.counts[f"{request.kind}.{'ok' if answer.accepted else 'lost'}"] += 1
        if self.first_callback and (waiter := self.first_callback.pop(request.sid, None)):
            waiter.set()
        if request.done:
            request.done(answer)


def _read(kind: str, http: int, content_type: str | None, content: bytes) -> Answer:
    if http not in _OK:
        return read_failure("4xx" if http in _CLIENT_ERRORS else "5xx", http, content_type)
    # What a status callback answers is never shown to the user.
    return Answer(http, content_type) if kind == "status" else read_answer(http, content_type, content)


def _altered(request: Request, token: str, *, status: str | None = None, sid: str | None = None) -> Request:
    form = dict(request.form)
    if sid:
        form |= {"MessageSid": sid, "SmsSid": sid}
    if status:
        form |= {"MessageStatus": status, "SmsStatus": status, "ErrorCode": "63012"}
        form.pop("EventType", None)
    return replace(request, form=form, token=token, status=status or request.status, sid=sid or request.sid)
