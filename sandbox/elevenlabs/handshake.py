"""The door of the socket: which agent, with what right, and what may go wrong before the first frame."""

from collections.abc import Mapping
from urllib.parse import parse_qs, urlsplit

from websockets.http11 import Request

from sandbox.elevenlabs.errors import NO_AGENT, NO_AUTH, Refusal
from sandbox.elevenlabs.faults import Action, Moment
from sandbox.elevenlabs.inbox import Inbox
from sandbox.elevenlabs.monitor import Monitor
from sandbox.elevenlabs.rest_errors import http_fault
from sandbox.elevenlabs.session import Session
from sandbox.elevenlabs.socket import WireSocket
from sandbox.elevenlabs.world import World

__all__ = ["Reception"]

_CONVERSATION = "/v1/convai/conversation"
_MONITOR = "/v1/convai/conversations/"


class Reception:
    """Called with every upgrade request. Refusals come after the handshake, as with the real service."""

    def __init__(self, world: World) -> None:
        self._world = world

    def __call__(self, socket: WireSocket, request: Request) -> None:
        parts = urlsplit(request.path)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        if parts.path == _CONVERSATION:
            self._converse(socket, query, request.headers.get("xi-api-key"))
        elif parts.path.startswith(_MONITOR) and parts.path.endswith("/monitor"):
            conversation_id = parts.path.removeprefix(_MONITOR).removesuffix("/monitor")
            Monitor.open(self._world, socket, conversation_id, request.headers.get("xi-api-key"))
        else:
            socket.reject(404, '{"detail":"Not Found"}')

    def _converse(self, socket: WireSocket, query: Mapping[str, str], api_key: str | None) -> None:
        world = self._world
        world.stats.counts["handshakes"] += 1
        agent = world.agents.get(query.get("agent_id", ""))
        moment = Moment(agent_id=query.get("agent_id"), session=world.stats.counts["handshakes"])
        for action in world.faults.take(moment, "handshake", modifiers=False):
            if self._spoil(socket, action):
                return
        wait = agent.latency.connect.draw(world.rng) / 1000 if agent else 0.0
        if wait > 0:
            world.clock.call_later(wait, lambda: self._admit(socket, query, api_key))
        else:
            self._admit(socket, query, api_key)

    def _spoil(self, socket: WireSocket, action: Action) -> bool:
        """True if there will be no session."""
        if action.kind == "http":
            status, body, headers = http_fault(action)
            self._world.stats.counts["handshakes_rejected"] += 1
            socket.reject(status, body, headers)
        elif action.kind == "abort":
            socket.abort()
        elif action.kind in ("accept_hang", "blackhole"):
            socket.accept(_Nobody())
        elif action.kind == "close":
            refuse(socket, Refusal(action.code, action.reason))
        else:
            return False
        return True

    def _admit(self, socket: WireSocket, query: Mapping[str, str], api_key: str | None) -> None:
        world = self._world
        agent = world.agents.get(query.get("agent_id", ""))
        if agent is None:
            refuse(socket, NO_AGENT)
            return
        conversation_id = None
        if "conversation_signature" in query:
            signature = world.signed_urls.redeem(query["conversation_signature"], agent.agent_id)
            allowed = signature is not None
            conversation_id = signature.conversation_id if signature else None
        else:
            allowed = agent.public or api_key in agent.api_keys
        if not allowed:
            refuse(socket, NO_AUTH)
            return
        session = Session(world, agent, socket, conversation_id or world.new_id("conv"))
        world.logs.open(session.conversation_id)
        if socket.accept(Inbox(session)):
            session.start()


class _Nobody:
    """Listens to a socket that has no session."""

    def on_text(self, text: str) -> None: ...

    def on_binary(self) -> None: ...

    def on_close(self, code: int, reason: str, *, by_peer: bool) -> None: ...


def refuse(socket: WireSocket, refusal: Refusal) -> None:
    """Accept, then close at once with the reason."""
    if socket.accept(_Nobody()):
        socket.close(refusal.code, refusal.reason)
