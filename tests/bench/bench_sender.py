"""Posting to Twilio: our client against the SDK's own async one, the simulator as a process of its own."""

import asyncio
import re
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from itertools import count
from typing import Any

import httpx
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

from kit.clock import SystemClock
from kit.http import PooledClient
from kit.settings import TwilioSettings
from kit.twilio import Twilio
from sender.pacing import Pacer
from tests.bench.harness import Figure, bench, cpu_seconds

LATENCY_MS, CONCURRENCY, SECONDS = 200, 32, 6.0
ACCOUNT, TOKEN, OURS = "AC" + "0" * 31 + "1", "simulated-auth-token", "+14155238886"
Post = Callable[[int], Awaitable[Any]]


@bench
async def sender_vs_sdk() -> Figure:
    """Messages/s and CPU a message at 200 ms, 32 at once; and the share of a core at 80 messages/s."""
    async with _simulator() as url:
        pairs = [(await _ours(url), await _sdk(url)) for _ in range(3)]
        share = await _sustained(url, per_s=80, seconds=10)
    ours, sdk = (sorted(pair[arm] for pair in pairs)[1] for arm in (0, 1))
    return Figure(
        unit="messages/s",
        ours=ours[0],
        other=sdk[0],
        other_is="twilio's AsyncTwilioHttpClient, one client, as documented",
        details={
            "latency_ms": LATENCY_MS,
            "concurrency": CONCURRENCY,
            "cpu_us_a_message": {"ours": ours[1], "sdk": sdk[1], "ratio": round(sdk[1] / ours[1], 2)},
            "pairs": pairs,
            "at_80_per_s": share,
        },
    )


@asynccontextmanager
async def _simulator() -> AsyncIterator[str]:
    arguments = ["-m", "sandbox.twilio", "--port", "0", "--control-port", "0", "--mps", "100000"]
    child = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        assert child.stdout
        found: list[str] = []
        while len(found) < 2:
            line = (await asyncio.wait_for(child.stdout.readline(), 20)).decode()
            assert line, "the simulator has ended"
            found += re.findall(r"http://127\.0\.0\.1:\d+", line)
        async with httpx.AsyncClient(trust_env=False) as control:
            wanted = {"rest_latency": {"median_ms": LATENCY_MS, "sigma": 0}}
            (await control.put(f"{found[1]}/_sim/profile", json=wanted)).raise_for_status()
        yield found[0]
    finally:
        with suppress(ProcessLookupError):
            child.terminate()
        await child.wait()


def _twilio(url: str) -> tuple[Twilio, PooledClient]:
    settings = TwilioSettings(
        twilio_account_sid=ACCOUNT,
        twilio_auth_token=TOKEN,
        twilio_whatsapp_numbers=(OURS,),
        twilio_base_url=url,
        _env_file=None,
    )
    http = PooledClient(concurrency=CONCURRENCY)
    return Twilio(settings, http), http


async def _ours(url: str) -> tuple[float, float]:
    twilio, http = _twilio(url)

    async def post(number: int) -> None:
        created = await twilio.create(to=_to(number), channel=OURS, callback="", content={"Body": "hola"})
        assert created.outcome == "ACCEPTED", created

    try:
        return await _flat_out(post)
    finally:
        await http.stop()


async def _sdk(url: str) -> tuple[float, float]:
    http = AsyncTwilioHttpClient()
    client = Client(ACCOUNT, TOKEN, http_client=http)
    client.api.base_url = url

    async def post(number: int) -> None:
        created = await client.messages.create_async(
            to=f"whatsapp:{_to(number)}", from_=f"whatsapp:{OURS}", body="hola"
        )
        assert created.sid

    try:
        return await _flat_out(post)
    finally:
        await http.close()


async def _flat_out(post: Post) -> tuple[float, float]:
    """(messages/s, µs of CPU a message) of `CONCURRENCY` workers that never rest."""
    numbers = count()
    until = time.monotonic() + 1.0
    done = 0

    async def work() -> None:
        nonlocal done
        while time.monotonic() < until:
            await post(next(numbers))
            done += 1

    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))  # connections are made in the first second
    began, cpu, done = time.monotonic(), cpu_seconds(), 0
    until = began + SECONDS
    await asyncio.gather(*(work() for _ in range(CONCURRENCY)))
    return round(done / (time.monotonic() - began), 1), round((cpu_seconds() - cpu) / done * 1e6, 1)


async def _sustained(url: str, per_s: float, seconds: float) -> dict[str, float]:
    """What of a core our client and our pacing need at the rate WhatsApp takes from a number."""
    twilio, http = _twilio(url)
    clock = SystemClock()
    pacer = Pacer(clock, per_s)
    began, cpu = time.monotonic(), cpu_seconds()

    async def one(number: int) -> None:
        while left := pacer.wait(OURS, _to(number), f"{number}"):
            await clock.sleep(left)
        await twilio.create(to=_to(number), channel=OURS, callback="", content={"Body": "hola"})

    async with asyncio.TaskGroup() as group:
        for number in range(int(per_s * seconds)):
            group.create_task(one(number))
    took = time.monotonic() - began
    await http.stop()
    return {"messages_per_s": round(per_s * seconds / took, 1), "core_share": round((cpu_seconds() - cpu) / took, 3)}


def _to(number: int) -> str:
    return f"+34600{number:06d}"
