"""The control and observation API, `/_sim/…`: JSON over HTTP of what TwilioSimulator offers in process."""

import asyncio
import base64
from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Body, FastAPI, Query
from fastapi.requests import Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sandbox.twilio.faults import Fault
from sandbox.twilio.inbox import Received
from sandbox.twilio.ledger import row
from sandbox.twilio.people import canonical
from sandbox.twilio.shapes import Kind

if TYPE_CHECKING:
    from sandbox.twilio.simulator import TwilioSimulator

_LONGEST_WAIT_S = 60
Wait = Annotated[float, Query(ge=0, le=_LONGEST_WAIT_S)]
Limit = Annotated[int, Query(ge=1, le=20_000)]


class Attachment(BaseModel):
    content_type: str
    base64: str


class Inbound(BaseModel):
    """What a user does."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    from_: str = Field(alias="from")
    body: str = ""
    kind: Kind = "text"
    to: str | None = None
    button_payload: str | None = None
    reply_to: str | None = None
    media: Attachment | None = None
    fields: dict[str, str | None] = {}
    """Form fields as they are; null removes one."""
    wait: bool = True
    """Answer when the webhook is over; false answers at once."""


class Burst(BaseModel):
    """Many messages at once, from `contacts` people in turn."""

    model_config = ConfigDict(extra="forbid")

    count: int = Field(ge=1, le=100_000)
    within_ms: float = 0
    contacts: int = Field(default=1, ge=1)
    body: str = "burst {n}"
    first: str = "+34600000000"


class Advance(BaseModel):
    seconds: float


def control_app(sim: "TwilioSimulator") -> FastAPI:
    """Every answer is JSON; a malformed request is 422 with the reason."""
    app = FastAPI(title="Twilio simulator: control", docs_url="/_sim/docs", openapi_url="/_sim/openapi.json")
    for routes in (_driving, _rules, _world, _watching, _phones):
        app.include_router(routes(sim), prefix="/_sim")

    async def malformed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, status_code=422)

    app.add_exception_handler(ValidationError, malformed)
    return app


def _driving(sim: "TwilioSimulator") -> APIRouter:
    router = APIRouter()

    @router.post("/inbound")
    async def inbound(given: Inbound) -> dict[str, Any]:
        media = (given.media.content_type, base64.b64decode(given.media.base64)) if given.media else None
        received = sim.say(
            given.from_,
            given.body,
            given.kind,
            to=given.to,
            button_payload=given.button_payload,
            reply_to=given.reply_to,
            media=media,
            **given.fields,
        )
        if given.wait:
            await asyncio.wait([received.over])
        return _outcome(received)

    @router.post("/burst")
    async def burst(given: Burst) -> dict[str, Any]:
        sent = await sim.burst(**given.model_dump())
        return {"sent": len(sent), "accepted": sum(received.accepted for received in sent)}

    @router.post("/clock/advance")
    async def advance(given: Advance) -> dict[str, str]:
        sim.advance(given.seconds)
        return {"now": sim.account.now().isoformat()}

    @router.post("/reset")
    async def reset() -> dict[str, bool]:
        await sim.reset()
        return {"ok": True}

    return router


def _rules(sim: "TwilioSimulator") -> APIRouter:
    router = APIRouter()

    @router.post("/faults", status_code=201)
    async def add_fault(given: Fault) -> dict[str, Any]:
        rule = sim.fault(**given.model_dump())
        return rule.story() if rule else {"id": None, **given.model_dump(exclude_defaults=True)}

    @router.get("/faults")
    async def faults() -> list[dict[str, Any]]:
        return sim.account.rules.stories()

    @router.delete("/faults")
    @router.delete("/faults/{number}")
    async def clear_faults(number: int | None = None) -> dict[str, bool]:
        sim.account.rules.clear(number)
        return {"ok": True}

    return router


def _world(sim: "TwilioSimulator") -> APIRouter:
    router = APIRouter()

    @router.get("/profile")
    async def profile() -> dict[str, Any]:
        return _without_secrets(sim)

    @router.put("/profile")
    async def configure(changes: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        sim.configure(**changes)
        return _without_secrets(sim)

    @router.get("/contacts")
    async def contacts() -> list[dict[str, Any]]:
        return [contact.story() for contact in sim.account.people]

    @router.put("/contacts/{address}")
    async def contact(address: str, traits: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        return sim.contact(address, **traits).story()

    @router.put("/contacts/{address}/window")
    async def window(address: str, given: Annotated[dict[str, bool], Body()]) -> dict[str, Any]:
        (sim.open_window if given.get("open") else sim.close_window)(address)
        return {"address": canonical(address), "open": bool(given.get("open"))}

    @router.put("/templates/{sid}")
    async def template(sid: str, given: Annotated[dict[str, Any], Body()]) -> dict[str, Any]:
        return sim.template(**{"body": "", **given, "sid": sid}).model_dump()

    return router


def _watching(sim: "TwilioSimulator") -> APIRouter:
    router = APIRouter()

    @router.get("/health")
    async def health() -> dict[str, str]:
        return {"status": "ok", "service": "twilio-simulator", "url": sim.url}

    @router.get("/messages")
    async def messages(contact: str | None = None, after: int = 0, limit: Limit = 1000) -> dict[str, Any]:
        wanted = canonical(contact) if contact else None
        found = [m for m in sim.messages if m.n > after and (not wanted or canonical(m.contact) == wanted)]
        posts = [row(post) for post in sim.posts if post.n > after]
        return {"messages": [message.story() for message in found[-limit:]], "posts": posts[-limit:]}

    @router.get("/deliveries")
    async def deliveries(
        kind: str | None = None, sid: str | None = None, after: int = 0, limit: Limit = 1000
    ) -> list[dict[str, Any]]:
        found = (d for d in sim.deliveries if d.n > after and kind in {None, d.kind} and sid in {None, d.sid})
        return [row(delivery) for delivery in found][-limit:]

    @router.get("/debugger")
    async def debugger() -> list[dict[str, Any]]:
        return list(sim.debugger)

    @router.get("/stats")
    async def stats() -> dict[str, Any]:
        return sim.stats()

    return router


def _phones(sim: "TwilioSimulator") -> APIRouter:
    router = APIRouter()

    @router.get("/events")
    async def all_events(after: int = 0, wait: Wait = 0) -> dict[str, Any]:
        """Of every handset, in one sequence; a `reset` is the event `forgotten`. `last` below `after`: started anew."""
        feed = sim.account.feed
        news = await feed.wait(after, wait) if after <= feed.last else []
        return {"events": news, "last": feed.last}

    @router.get("/media/{sid}/{index}")
    async def media(sid: str, index: int) -> Response:
        """A file that a user sent, as it is on the handset."""
        message = sim.account.ledger.messages.get(sid)
        if message is None or not 0 <= index < len(message.media):
            return JSONResponse({"detail": "no such file, or it was forgotten"}, status_code=404)
        file = message.media[index]
        return Response(file.content, media_type=file.content_type)

    @router.get("/handset")
    async def handsets() -> list[str]:
        return [person.key for person in sim.account.people]

    @router.get("/handset/{address}")
    async def handset(address: str) -> dict[str, Any]:
        return sim.handset(address).story()

    @router.get("/handset/{address}/events")
    async def events(address: str, after: int = 0, wait: Wait = 0) -> dict[str, Any]:
        news = await sim.handset(address).wait(after, wait)
        return {"events": news, "last": news[-1]["n"] if news else after}

    return router


def _outcome(received: Received) -> dict[str, Any]:
    answer = received.answer
    if answer is None:
        return {"sid": received.sid, "accepted": False, "answer": None}
    told = {
        "http": answer.http,
        "content_type": answer.content_type,
        "error": answer.error,
        "complaint": answer.complaint,
        "replies": list(answer.replies),
    }
    return {"sid": received.sid, "accepted": received.accepted, "answer": told}


def _without_secrets(sim: "TwilioSimulator") -> dict[str, Any]:
    return sim.profile.model_dump(mode="json", exclude={"auth_token", "api_keys", "shared_key"})
