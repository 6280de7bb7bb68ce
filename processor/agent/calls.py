"""What ElevenLabs wrote down about a phone call, fetched where nobody told us. Source: reference §4."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from kit.clock import Clock
from kit.errors import NoAnswer
from kit.http import PooledClient
from kit.logs import get_log
from schemas.documents import CallDocument
from schemas.events import Line

__all__ = ["CallRecords"]

WAIT_S = 3.0  # a greeting or an answer waits no longer for a summary
PAUSES_S = (2.0, 4.0, 8.0, 15.0, 30.0, 300.0)  # a call is analysed some seconds after its end, or never
REMEMBERED = 10_000
Json = dict[str, Any]


class CallRecords:
    """The cheap summary first, the whole conversation where that has none.

    What had no summary is not asked for again at once: a record that never gets one costs no turn its time. Nothing
    is polled: the post-call webhook or the next turn brings what comes late.
    """

    def __init__(self, base_url: str, api_key: str, http: PooledClient, clock: Clock) -> None:
        self._url = f"{base_url}/v1/convai/conversations"
        self._headers = {"xi-api-key": api_key}
        self._http = http
        self._clock = clock
        self._misses: OrderedDict[str, tuple[int, float]] = OrderedDict()
        self._log = get_log("calls")

    async def completed(self, call: CallDocument) -> CallDocument:
        """With summary and transcript where they are known by now. Within 3 s, and never raises."""
        name = call.conversation_id
        if call.summary or not name or self._clock.monotonic() < self._misses.get(name, (0, 0.0))[1]:
            return call
        found: CallDocument = call
        try:
            async with asyncio.timeout(WAIT_S):
                found = await self._fetch(call, quote(name, safe=""))
        except (TimeoutError, NoAnswer, ValueError, LookupError, TypeError, AttributeError) as error:
            self._log.warning("call not fetched", call=call.id, error=type(error).__name__)
        if found.summary:
            self._misses.pop(name, None)
        else:
            self._missed(name)
        return found

    async def _fetch(self, call: CallDocument, name: str) -> CallDocument:
        short = await self._get(f"{name}/summary")
        if short and short.get("transcript_summary"):
            return _with(call, short["transcript_summary"], short.get("messages"), short)
        whole = await self._get(name)
        if not whole:
            return call
        return _with(call, (whole.get("analysis") or {}).get("transcript_summary"), whole.get("transcript"), whole)

    async def _get(self, path: str) -> Json | None:
        response = await self._http.request("GET", f"{self._url}/{path}", headers=self._headers)
        answer = response.json() if response.ok else None
        return answer if isinstance(answer, dict) else None

    def _missed(self, name: str) -> None:
        times = self._misses.pop(name, (0, 0.0))[0]
        pause = PAUSES_S[min(times, len(PAUSES_S) - 1)]
        self._misses[name] = (times + 1, self._clock.monotonic() + pause)
        if len(self._misses) > REMEMBERED:
            self._misses.popitem(last=False)


def _with(call: CallDocument, summary: str | None, spoken: Any, record: Mapping[str, Any]) -> CallDocument:
    """Half a call's transcript, while it is still running, is none."""
    running = record.get("status") in {"initiated", "in-progress"}
    lines = [Line(role=one["role"], message=one["message"]) for one in spoken or () if one.get("message")]
    return call.model_copy(
        update={
            "summary": call.summary or summary or None,
            "transcript": call.transcript or (None if running else lines or None),
            "agent_id": call.agent_id or record.get("agent_id"),
        }
    )
