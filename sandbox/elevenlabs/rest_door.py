"""What every REST route does first: faults, latency, the key."""

from starlette.requests import Request
from starlette.responses import Response

from sandbox.elevenlabs.agents import AgentFixture
from sandbox.elevenlabs.faults import Moment
from sandbox.elevenlabs.records import Record
from sandbox.elevenlabs.rest_errors import http_fault, problem
from sandbox.elevenlabs.world import World

__all__ = ["RestDoor"]


class RestDoor:
    """Checks the key, applies latency and faults, answers from the records."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def enter(self, request: Request, point: str, **about: str | None) -> Response | None:
        """To be called first by every route; a response means: answer this instead."""
        world = self._world
        world.stats.counts["rest"] += 1
        delay = 0.0
        for action in world.faults.take(Moment(**about), f"rest.{point}", "rest.any"):  # type: ignore[arg-type]
            if action.kind == "http":
                status, body, headers = http_fault(action)
                return Response(body, status, headers, "application/json")
            if action.kind == "malformed_json":
                return Response('{"conversation_id":"conv', 200, media_type="application/json")
            delay += action.ms / 1000
        await world.clock.sleep(delay + self._latency(about.get("agent_id")))
        if not world.knows_key(request.headers.get("xi-api-key")):
            raise problem(401, "invalid_api_key", "Invalid API key")
        return None

    def agent(self, agent_id: str, api_key: str | None) -> AgentFixture:
        agent = self._world.agents.get(agent_id)
        if agent is None or api_key not in agent.api_keys:
            raise problem(404, "agent_not_found", f"Document with id {agent_id} not found.")
        return agent

    def record(self, conversation_id: str) -> Record:
        record = self._world.records.get(conversation_id)
        if record is None:
            raise problem(404, "conversation_not_found", f"Conversation {conversation_id} not found.")
        return record

    def _latency(self, agent_id: str | None) -> float:
        agents = self._world.agents
        agent = agents.get(agent_id or "") or next(iter(agents.values()), None)
        return agent.latency.rest.draw(self._world.rng) / 1000 if agent else 0.0
