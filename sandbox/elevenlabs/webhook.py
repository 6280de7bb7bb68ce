"""The post-call webhook: signed, retried on the real schedule, and late, doubled or forged on demand."""

import asyncio
import hashlib
import hmac
import json
from collections import deque
from typing import Any

import httpx

from sandbox.elevenlabs.clock import SimClock
from sandbox.elevenlabs.faults import Action, FaultBook, Moment
from sandbox.elevenlabs.records import Record
from sandbox.elevenlabs.stats import Stats

__all__ = ["RETRY_AFTER_S", "WebhookCourier", "sign"]

RETRY_AFTER_S = (0.0, 30.0, 120.0, 480.0, 1800.0)  # reference §5: immediate, 30 s, 2, 8 and 30 min
_RETRIED = {408, 429}
_TIMEOUT_S = 10.0


def sign(secret: str, timestamp: int, body: str) -> str:
    """The value of `ElevenLabs-Signature` for this body."""
    digest = hmac.new(secret.encode(), f"{timestamp}.{body}".encode(), hashlib.sha256).hexdigest()
    return f"t={timestamp},v0={digest}"


class WebhookCourier:
    """Delivers in the background; `deliveries` holds every attempt with its status (0: no answer)."""

    def __init__(self, clock: SimClock, faults: FaultBook, stats: Stats) -> None:
        self.url: str | None = None
        self.secret = ""
        self.retries = True
        self.text_sessions = True
        self.deliveries: deque[dict[str, Any]] = deque(maxlen=2_000)
        self._clock = clock
        self._faults = faults
        self._stats = stats
        self._tasks: set[asyncio.Task[None]] = set()
        self._held: list[tuple[Record, Action]] = []
        self._client: httpx.AsyncClient | None = None

    def post(self, record: Record) -> None:
        """Send the record's final state. Does nothing without an address."""
        if not self.url or (record.text_only and not self.text_sessions):
            return
        moment = Moment(record.agent_id, record.user_id, record.conversation_id)
        for action in self._faults.take(moment, "webhook"):
            if action.skip:
                return
            if action.out_of_order:  # goes out after the next one
                self._held.append((record, action))
                return
            self._start(record, action)
            break
        else:
            self._start(record, Action(kind="webhook"))
        held, self._held = self._held, []
        for late, action in held:
            self._start(late, action.model_copy(update={"delay_s": action.delay_s + 0.05}))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client:
            await self._client.aclose()
            self._client = None

    def clear(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._held.clear()
        self.deliveries.clear()

    def _start(self, record: Record, action: Action) -> None:
        body = json.dumps(
            {
                "type": "post_call_transcription",
                "event_timestamp": self._clock.unix(),
                "data": record.as_json(),
            },
            ensure_ascii=False,
        )
        for _ in range(1 + action.duplicate):
            task = asyncio.create_task(self._deliver(self.url or "", record.conversation_id, body, action))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, url: str, conversation_id: str, body: str, action: Action) -> None:
        await self._clock.sleep(action.delay_s)
        for attempt, wait in enumerate(RETRY_AFTER_S if self.retries else RETRY_AFTER_S[:1], start=1):
            await self._clock.sleep(wait)
            status = await self._attempt(url, body, forged=action.bad_signature)
            self.deliveries.append(
                {"conversation_id": conversation_id, "attempt": attempt, "status": status, "at": self._clock.unix()}
            )
            if status not in _RETRIED and 0 < status < 500:
                return

    async def _attempt(self, url: str, body: str, *, forged: bool) -> int:
        self._stats.counts["webhooks"] += 1
        secret = self.secret + ("-forged" if forged else "")
        headers = {
            "content-type": "application/json",
            "ElevenLabs-Signature": sign(secret, self._clock.unix(), body),
        }
        self._client = self._client or httpx.AsyncClient(timeout=_TIMEOUT_S)
        try:
            answer = await self._client.post(url, content=body.encode(), headers=headers)
        except httpx.HTTPError:
            return 0
        return answer.status_code
