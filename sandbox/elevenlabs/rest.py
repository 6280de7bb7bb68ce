"""The public REST routes (reference §4), and 404 or 405 for those that people invent."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from sandbox.elevenlabs.agents import AgentFixture
from sandbox.elevenlabs.records import Record
from sandbox.elevenlabs.rest_door import RestDoor
from sandbox.elevenlabs.rest_errors import problem
from sandbox.elevenlabs.world import World

__all__ = ["build_rest"]

Json = dict[str, Any]


class Filters(BaseModel):
    """Query of the list route; what it does not know is ignored, as there."""

    agent_id: str | None = None
    user_id: str | None = None
    text_only: bool | None = None
    summary_mode: str = "exclude"
    exclude_statuses: list[str] = []
    call_start_after_unix: int | None = None
    call_start_before_unix: int | None = None
    page_size: int = Field(30, ge=1, le=100)
    cursor: str | None = None
    sort_direction: str = "desc"

    def fit(self, record: Record) -> bool:
        started = record.started
        return (
            self.agent_id in (None, record.agent_id)
            and self.user_id in (None, record.user_id)
            and self.text_only in (None, record.text_only)
            and record.status not in self.exclude_statuses
            and (self.call_start_after_unix or started) <= started <= (self.call_start_before_unix or started)
        )

    def page(self, found: list[Record]) -> Json:
        start = int(self.cursor) if self.cursor and self.cursor.isdigit() else 0
        end = start + self.page_size
        ordered = found[::-1] if self.sort_direction == "asc" else found
        with_summary = self.summary_mode == "include"
        return {
            "conversations": [r.as_list_item(with_summary=with_summary) for r in ordered[start:end]],
            "next_cursor": str(end) if end < len(ordered) else None,
            "has_more": end < len(ordered),
        }


def build_rest(world: World) -> APIRouter:
    """The router, to be included at the root."""
    router = APIRouter(prefix="/v1/convai")
    rest = RestDoor(world)
    _add_signed_url(router, rest, world)
    _add_conversations(router, rest, world)
    _add_changes(router, rest, world)
    _add_agents(router, rest, world)
    return router


def _add_signed_url(router: APIRouter, rest: RestDoor, world: World) -> None:
    @router.get("/conversation/get-signed-url", response_model=None)
    @router.get("/conversation/get_signed_url", response_model=None)  # the SDK spells it with underscores too
    async def get_signed_url(
        request: Request, agent_id: str, *, include_conversation_id: bool = False
    ) -> Response | Json:
        instead = await rest.enter(request, "signed_url", agent_id=agent_id)
        if instead:
            return instead
        rest.agent(agent_id, request.headers.get("xi-api-key"))
        signature = world.new_id("cvtkn")
        bound = world.new_id("conv") if include_conversation_id else None
        world.signed_urls.issue(signature, agent_id, bound)
        world.stats.counts["signed_urls"] += 1
        host = request.headers.get("host", "127.0.0.1")
        url = f"ws://{host}/v1/convai/conversation?agent_id={agent_id}&conversation_signature={signature}"
        return {"signed_url": f"{url}&conversation_id={bound}" if bound else url}


def _add_conversations(router: APIRouter, rest: RestDoor, world: World) -> None:
    @router.get("/conversations", response_model=None)
    async def list_conversations(request: Request, filters: Annotated[Filters, Query()]) -> Response | Json:
        instead = await rest.enter(request, "list", agent_id=filters.agent_id, user_id=filters.user_id)
        if instead:
            return instead
        found = [record for record in world.records.newest_first() if filters.fit(record)]
        return filters.page(found)

    @router.get("/conversations/{conversation_id}", response_model=None)
    async def get_conversation(request: Request, conversation_id: str) -> Response | Json:
        instead = await rest.enter(request, "get", conversation_id=conversation_id)
        return instead or rest.record(conversation_id).as_json()

    @router.get("/conversations/{conversation_id}/summary", response_model=None)
    async def get_summary(request: Request, conversation_id: str, max_messages: int | None = None) -> Response | Json:
        instead = await rest.enter(request, "summary", conversation_id=conversation_id)
        return instead or rest.record(conversation_id).as_summary(max_messages)


def _add_changes(router: APIRouter, rest: RestDoor, world: World) -> None:
    @router.delete("/conversations/{conversation_id}", response_model=None)
    async def delete_conversation(request: Request, conversation_id: str) -> Response | Json:
        instead = await rest.enter(request, "delete", conversation_id=conversation_id)
        rest.record(conversation_id)
        world.records.delete(conversation_id)
        return instead or {}

    @router.post("/conversations/{conversation_id}/files", response_model=None)
    async def upload_file(request: Request, conversation_id: str) -> Response | Json:
        instead = await rest.enter(request, "files", conversation_id=conversation_id)
        if instead:
            return instead
        await request.body()  # the bytes do not matter, only that they came
        session = world.sessions.get(conversation_id)
        if session is None or session.record is None:
            raise problem(404, "conversation_not_found", f"Conversation {conversation_id} is not open.")
        if len(session.record.files) >= session.agent.max_files:
            raise problem(400, "too_many_files", "max_files_per_conversation reached")
        session.record.files.append(world.new_id("file"))
        return {"file_id": session.record.files[-1]}


def _add_agents(router: APIRouter, rest: RestDoor, world: World) -> None:
    @router.get("/agents/{agent_id}", response_model=None)
    async def get_agent(request: Request, agent_id: str) -> Response | Json:
        instead = await rest.enter(request, "agent", agent_id=agent_id)
        return instead or agent_json(rest.agent(agent_id, request.headers.get("xi-api-key")))

    @router.get("/users", response_model=None)
    async def list_users(request: Request, page_size: int = 30) -> Response | Json:
        instead = await rest.enter(request, "users")
        users: dict[str, Json] = {}
        for record in world.records.newest_first():
            if record.user_id and record.user_id not in users:
                users[record.user_id] = {
                    "user_id": record.user_id,
                    "last_contact_unix_secs": record.started,
                    "first_contact_unix_secs": record.started,
                    "last_contact_conversation_id": record.conversation_id,
                    "last_contact_agent_id": record.agent_id,
                    "last_contact_agent_name": record.agent_name,
                    "conversation_count": 0,
                }
            if record.user_id:
                users[record.user_id]["conversation_count"] += 1
                users[record.user_id]["first_contact_unix_secs"] = record.started
        shown = list(users.values())[:page_size]
        return instead or {"users": shown, "next_cursor": None, "has_more": len(users) > page_size}


def agent_json(agent: AgentFixture) -> Json:
    """The parts of an agent that a preflight looks at (reference §10.8)."""
    overrides: Json = {}
    for path in agent.allow_overrides:
        section, _, name = path.partition(".")
        overrides.setdefault(section, {})[name] = True
    asked = " ".join("{{" + name + "}}" for name in agent.required_variables)
    return {
        "agent_id": agent.agent_id,
        "name": agent.name,
        "conversation_config": {
            "agent": {
                "first_message": agent.first_message,
                "language": agent.language,
                "prompt": {"prompt": f"{agent.prompt} {asked}".strip(), "tools": [], "built_in_tools": {}},
                "dynamic_variables": {"dynamic_variable_placeholders": {}},
            },
            "conversation": {
                "text_only": agent.text_only,
                "max_duration_seconds": int(agent.max_duration_seconds),
                "client_events": agent.client_events,
            },
            "turn": {"turn_timeout": agent.turn_timeout or -1},
        },
        "platform_settings": {
            "overrides": {"conversation_config_override": overrides},
            "call_limits": {
                "agent_concurrency_limit": agent.limits.agent,
                "daily_limit": agent.limits.daily,
                "bursting_enabled": False,
            },
            "queueing_config": {"enabled": agent.queueing.enabled},
            "auth": {"enable_auth": not agent.public},
        },
        "metadata": {"created_at_unix_secs": 1764000000},
    }
