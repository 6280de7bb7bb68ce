"""Application-level pings, and the reset of a client that stopped answering them."""

import asyncio

from sandbox.elevenlabs import frames
from sandbox.elevenlabs.stage import Stage

__all__ = ["Keepalive"]


class Keepalive:
    """Real time on purpose: the peer cannot answer a thousand pings of one virtual minute."""

    __slots__ = ("_handle", "_loop", "_number", "_sent_at", "_session", "_unanswered", "rtt_ms")

    def __init__(self, session: Stage) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._number = 0
        self._unanswered = 0
        self._sent_at = 0.0
        self.rtt_ms: int | None = None
        self._handle: asyncio.TimerHandle | None = None
        if session.agent.ping.every_s > 0 and session.init and "ping" in session.init.client_events:
            self._handle = self._loop.call_later(session.agent.ping.every_s, self._ping)

    def on_pong(self, _: object) -> None:
        self._session.world.stats.counts["pongs"] += 1
        self._unanswered = 0
        self.rtt_ms = int((self._loop.time() - self._sent_at) * 1000)

    def stop(self) -> None:
        if self._handle:
            self._handle.cancel()
            self._handle = None

    def _ping(self) -> None:
        session = self._session
        if self._unanswered:
            session.world.stats.counts["missed_pongs"] += 1
        if self._unanswered >= session.agent.ping.max_missed:
            session.note("missed_pongs", str(self._unanswered))
            session.socket.abort()
            return
        self._number += 1
        self._unanswered += 1
        self._sent_at = self._loop.time()
        session.world.stats.counts["pings"] += 1
        session.emit(frames.ping(self._number, self.rtt_ms))
        self._handle = self._loop.call_later(session.agent.ping.every_s, self._ping)
