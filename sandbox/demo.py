"""The story of the product, watched from outside: the client's phone, the notices topic, the database."""

import asyncio
import json
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from pymongo import AsyncMongoClient
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from sandbox.layout import Layout

__all__ = ["Demo", "report"]

NAME, SUMMARY = "Ana", "tu cita del martes a las diez con la doctora Ruiz"
GREETING = f"¡Hola {NAME}! 👋\n\nHace un momento hablamos sobre: {SUMMARY}\n\n¿En qué más puedo ayudarte?"
QUESTION = "Hola, ¿de qué hablamos en la llamada?"
PATIENCE_S = 30.0
A_DAY_S = 25 * 3600


class StepFailed(Exception):
    """Something that had to be seen was not."""


@dataclass
class Step:
    title: str
    seconds: float = 0.0
    seen: bool = False


@dataclass
class Demo:
    """One telling, with a client nobody met before."""

    layout: Layout
    console: Console
    steps: list[Step] = field(default_factory=list)
    complete: bool = False
    missing: str | None = None
    """What was not seen, where the story ended early."""

    def __post_init__(self) -> None:
        digits = f"{random.randrange(10**8):08d}"
        self.phone = f"+52155{digits}"  # as a call knows it
        self.contact = f"+5255{digits}"  # the same person, canonical

    async def tell(self) -> None:
        """Ends at the first thing that is not seen; `complete` or `missing` says so."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE_S + 10) as self.http:
            try:
                await self._play()
            except StepFailed as error:
                self.missing = str(error)
            else:
                self.complete = True

    async def _play(self) -> None:
        await self._call()
        await self._greeting()
        await self._question()
        answer = await self._answer()
        await self._statuses(answer)
        await self._closing()

    async def _call(self) -> None:
        call = {
            "phoneNumber": self.phone,
            "clientName": NAME,
            "callSummary": SUMMARY,
            "agentId": "agent_sandbox",
            "conversationId": f"conv_call_{random.randrange(10**9)}",
        }
        async with self._step("the main backend publishes call.completed to Kafka"):
            done = await self._post("backend", "/calls", call)
            self._say("main backend", f"call.completed, partition {done['partition']}, offset {done['offset']}")

    async def _greeting(self) -> None:
        async with self._step("the greeting arrives on the client's phone"):
            bubble = await self._bubble(1)
            self._say("Hilo", bubble["body"])
            self._require(bubble["body"] == GREETING, "the greeting's exact text")

    async def _question(self) -> None:
        async with self._step("the client answers; the signed webhook is acknowledged"):
            self._say("client", QUESTION)
            done = await self._post("twilio_control", "/_sim/inbound", {"from": self.phone, "body": QUESTION})
            self._require(done["accepted"] and done["answer"]["http"] == 200, "the webhook's 200")

    async def _answer(self) -> dict[str, Any]:
        async with self._step("the agent knows the call; its answer arrives"):
            bubble = await self._bubble(2)
            self._say("Hilo", bubble["body"])
            self._require("martes a las diez" in bubble["body"], "what the call was about, in the answer")
        return bubble

    async def _statuses(self, bubble: dict[str, Any]) -> None:
        async with self._step("sent, delivered, read: on the phone and in the database"):
            await self._until("two blue ticks on the phone", lambda: self._ticked(bubble["sid"]))
            await self._until(
                "status read in the database", lambda: self._stored("sends", {"sid": bubble["sid"]}, "read")
            )
            # The phone ticks when Twilio knows, which is before our answer to its callback.
            expected = ["sent", "delivered", "read"]
            await self._until("every callback acknowledged", lambda: self._acknowledged(bubble["sid"], expected))
            statuses = await self._callbacks(bubble["sid"])
            self._say("Twilio", f"callbacks acknowledged: {', '.join(statuses)}")
            self._require(statuses == expected, "sent, delivered, read, each acknowledged once")

    async def _closing(self) -> None:
        async with self._step("a day later the hourly sweep closes the conversation"):
            before = float(self.layout.clock_file.read_text() or 0) if self.layout.clock_file.exists() else 0.0
            self.layout.clock_file.write_text(str(before + A_DAY_S))
            self._say("clock", "25 hours later")
            await self._until(
                "status closed in the database",
                lambda: self._stored("conversations", {"contact": self.contact}, "closed"),
            )
        async with self._step("the main backend reads the notices"):
            told: list[str] = []
            last = 0
            while not told or told[-1] != "hilo.conversation-closed.v1":
                news = await self._get("backend", "/notices", contact=self.contact, after=last, wait=PATIENCE_S)
                self._require(bool(news), "the notice that the conversation is closed")
                last = news[-1]["n"]
                told += [one["type"] for one in news]
                for one in news:
                    self._say("notice", one["type"])
            expected = ["hilo.conversation-started.v1", "hilo.conversation-closed.v1"]
            self._require(told == expected, f"exactly the notices {', '.join(expected)}")

    async def _bubble(self, number: int) -> dict[str, Any]:
        """The client's n-th bubble from us; exactly n are there."""
        after, deadline = 0, time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            news = await self._get("twilio_control", f"/_sim/handset/{self.phone}/events", after=after, wait=2)
            after = news["last"]
            bubbles = await self._ours()
            if len(bubbles) >= number:
                self._require(len(bubbles) == number, f"only {number} messages of ours")
                return bubbles[-1]
        raise StepFailed(f"message {number} on the phone within {PATIENCE_S:g} s")

    async def _ours(self) -> list[dict[str, Any]]:
        phone = await self._get("twilio_control", f"/_sim/handset/{self.phone}")
        return [one for one in phone["bubbles"] if one["author"] == "us"]

    async def _ticked(self, sid: str) -> bool:
        return any(one["sid"] == sid and one["tick"] == "read" for one in await self._ours())

    async def _callbacks(self, sid: str) -> list[str]:
        """The statuses that Twilio told and that we acknowledged, in its order."""
        told = await self._get("twilio_control", "/_sim/deliveries", kind="status", sid=sid)
        return [one["status"] for one in told if one["http"] == 200]

    async def _acknowledged(self, sid: str, statuses: list[str]) -> bool:
        return set(statuses) <= set(await self._callbacks(sid))

    async def _stored(self, collection: str, query: dict[str, Any], status: str) -> bool:
        client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(self.layout.mongodb_uri)
        async with client:
            found = await client["hilo"][collection].find_one(query)
        return found is not None and found.get("status") == status

    async def _until(self, what: str, seen: Callable[[], Any]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not await seen():
            if time.monotonic() > deadline:
                raise StepFailed(f"{what} within {PATIENCE_S:g} s")
            await asyncio.sleep(0.1)

    @asynccontextmanager
    async def _step(self, title: str) -> AsyncIterator[None]:
        step, began = Step(title), time.monotonic()
        self.steps.append(step)
        try:
            yield
            step.seen = True
        except httpx.HTTPError as error:
            raise StepFailed(f"{title}: {type(error).__name__}") from error
        finally:
            step.seconds = round(time.monotonic() - began, 2)

    async def _post(self, part: str, path: str, body: dict[str, Any]) -> Any:
        return (await self.http.post(self.layout.url(part) + path, json=body)).raise_for_status().json()

    async def _get(self, part: str, path: str, **query: Any) -> Any:
        return (await self.http.get(self.layout.url(part) + path, params=query)).raise_for_status().json()

    def _say(self, who: str, text: str) -> None:
        self.console.print(
            f"[bold cyan]{who:>12}[/bold cyan]  " + escape(text.replace("\n", "\n" + " " * 14)), soft_wrap=True
        )

    def _require(self, seen: bool, what: str) -> None:
        if not seen:
            raise StepFailed(what)


def report(story: Demo, console: Console, *, as_json: bool) -> None:
    if as_json:
        steps = [asdict(one) for one in story.steps]
        told = {"complete": story.complete, "missing": story.missing, "steps": steps}
        print(json.dumps(told, ensure_ascii=False))  # noqa: T201
        return
    if story.missing:
        console.print(f"[red]Not seen: {escape(story.missing)}[/red]")
    table = Table(box=None, header_style="bold")
    for column in ("", "step", "seconds"):
        table.add_column(column, justify="right" if column == "seconds" else "left")
    for step in story.steps:
        table.add_row("✓" if step.seen else "✗", step.title, f"{step.seconds:.2f}")
    console.print()
    console.print(table)
