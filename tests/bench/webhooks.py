"""Twilio, as fast as it can: signed webhooks over 64 connections, from a process of its own.

It reads one command a line, `PORT SECONDS RATE` (rate 0: as fast as it goes), and answers with one line of JSON.
"""

import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count, cycle
from typing import cast

import uvloop

from sandbox.twilio.wire import encode_form, sign

__all__ = ["ACCOUNT", "NUMBER", "PUBLIC", "TOKEN"]

ACCOUNT, TOKEN, NUMBER = "AC" + "1" * 32, "0123456789abcdef0123456789abcdef", "+14155238886"
PUBLIC, PATH = "https://hooks.example.com", "/webhook/twilio/incoming"
CONNECTIONS, BODIES, CONTACTS = 64, 40_000, 5_000
ANSWERED = b"HTTP/1.1 200 OK"
WARM_S = 0.5


def webhook(number: int) -> bytes:
    """The text message captured in Sep 2026, with a sender and a SID of its own, as bytes on the wire."""
    phone, sid = f"34600{number % CONTACTS:06}", f"SM{number:032x}"
    form = {
        "SmsMessageSid": sid,
        "NumMedia": "0",
        "ProfileName": f"Ana {number % CONTACTS}",
        "MessageType": "text",
        "SmsSid": sid,
        "WaId": phone,
        "SmsStatus": "received",
        "Body": f"Hola, ¿sigue en pie la cita número {number}? Llego 10 minutos tarde 😅",
        "To": f"whatsapp:{NUMBER}",
        "NumSegments": "1",
        "ReferralNumMedia": "0",
        "MessageSid": sid,
        "AccountSid": ACCOUNT,
        "ChannelMetadata": f'{{"type":"whatsapp","data":{{"context":{{"ProfileName":"Ana","WaId":"{phone}"}}}}}}',
        "From": f"whatsapp:+{phone}",
        "ExternalUserId": f"whatsapp:ES.{number % CONTACTS:016d}",
        "ApiVersion": "2010-04-01",
    }
    body = encode_form(form)
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: hooks.example.com\r\nContent-Length: {len(body)}\r\n"
        "Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nAccept: */*\r\n"
        "User-Agent: TwilioProxy/1.1\r\n"
        f"I-Twilio-Idempotency-Token: {number:032x}\r\n"
        f"X-Twilio-Signature: {sign(TOKEN, PUBLIC + PATH, form)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Run:
    """One run against one server. `rate` is in requests a second; 0 is as fast as it goes."""

    began: float
    seconds: float
    rate: float
    requests: Iterator[bytes]
    took: list[float] = field(default_factory=list)
    answered: int = 0
    failed: int = 0
    slots: Iterator[int] = field(default_factory=count)

    @property
    def until(self) -> float:
        return self.began + WARM_S + self.seconds

    def due(self) -> float:
        """When the next request should leave."""
        return self.began + next(self.slots) / self.rate if self.rate else time.perf_counter()

    def done(self, began: float, failed: bool) -> None:
        now = time.perf_counter()
        self.answered += 1
        self.failed += failed
        if began >= self.began + WARM_S and now <= self.until:
            self.took.append(now - began)


class Connection(asyncio.Protocol):
    """Sends a request, and when its answer is whole the next: at once, or at its place in the schedule."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._buffer = b""
        self._began = 0.0
        self._transport: asyncio.Transport
        self.over = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by inheritance
        self._next()

    def _next(self) -> None:
        due = self._run.due()
        if due >= self._run.until:
            self._transport.close()
            return
        left = due - time.perf_counter()
        if left > 0:
            asyncio.get_running_loop().call_later(left, self._send, due)
        else:
            self._send(due)

    def _send(self, due: float) -> None:
        self._began = due  # a late start is the server's fault: whoever waits in the queue waits for it
        self._transport.write(next(self._run.requests))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or not _whole(head, body):
            return
        self._run.done(self._began, failed=not head.startswith(ANSWERED))
        self._buffer = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._run.failed += bool(self._buffer) or exc is not None
        self.over.set_result(None)


def _whole(head: bytes, body: bytes) -> bool:
    lower = head.lower()
    if b"content-length: " not in lower:
        return body.endswith(b"0\r\n\r\n")
    return len(body) >= int(lower.split(b"content-length: ")[1].split(b"\r\n")[0])


async def run(requests: Iterator[bytes], port: int, seconds: float, rate: float) -> dict[str, float]:
    one = Run(time.perf_counter(), seconds, rate, requests)
    loop = asyncio.get_running_loop()
    made = [await loop.create_connection(lambda: Connection(one), "127.0.0.1", port) for _ in range(CONNECTIONS)]
    await asyncio.gather(*(protocol.over for _, protocol in made))
    at = statistics.quantiles(one.took, n=1000)
    return {
        "requests": one.answered,
        "per_s": round(len(one.took) / seconds, 1),
        "p50_ms": round(at[499] * 1000, 2),
        "p99_ms": round(at[989] * 1000, 2),
        "failed": one.failed,
    }


async def main() -> None:
    requests = cycle([webhook(number) for number in range(BODIES)])
    print("ready", flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        port, seconds, rate = line.split()
        print(json.dumps(await run(requests, int(port), float(seconds), float(rate))), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
