"""The page and its data. Everything changes by POST, everything is told by server-sent events."""

import asyncio
import base64
import hashlib
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Query
from fastapi.requests import Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse
from fastapi.staticfiles import StaticFiles

from sandbox.phone.people import Person, UnusableNumber, made_up_user_id
from sandbox.phone.saying import Burst, Call, Clock, Newcomer, Note, Part, Said, Switch
from sandbox.phone.voice import tune

if TYPE_CHECKING:
    from sandbox.phone.app import Phone

__all__ = ["phone_app"]

STATIC = Path(__file__).with_name("static")
LARGEST = 16 * 1024 * 1024  # WhatsApp's own limit of media
SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "audio/", "video/")


def phone_app(phone: "Phone") -> FastAPI:
    app = FastAPI(title="The client's phone", docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(_pages(phone))
    for routes in (_people, _messages, _files, _trouble, _machine):
        app.include_router(routes(phone), prefix="/api")
    app.mount("/static", StaticFiles(directory=STATIC))
    return app


def _pages(phone: "Phone") -> APIRouter:
    router = APIRouter()

    @router.get("/")
    async def page(request: Request) -> HTMLResponse:
        wanted = request.headers.get("accept-language", "")
        text = (STATIC / "index.html").read_text()  # small, local, and edited while it runs
        return HTMLResponse(text.replace('lang="en"', f'lang="{language(wanted)}"', 1))

    @router.get("/media/{sid}/{index}")
    async def media(sid: str, index: int) -> Response:
        file = await phone.outside.file(f"/media/{sid}/{index}")
        kind = file.headers.get("content-type", "").split(";")[0]
        if file.is_error:
            raise HTTPException(404, "This file is not there any more.")
        # A file is somebody's: one that a browser might run as a page is only saved.
        shown = kind.startswith(SHOWN)
        headers = {"content-security-policy": "sandbox"} if shown else {"content-disposition": "attachment"}
        return Response(file.content, media_type=kind if shown else "application/octet-stream", headers=headers)

    @router.get("/api/events")
    async def events() -> StreamingResponse:
        return StreamingResponse(phone.hub.listen(phone.story), media_type="text/event-stream")

    @router.get("/api/state")
    async def state() -> dict[str, Any]:
        return phone.story()

    return router


def _people(phone: "Phone") -> APIRouter:
    router = APIRouter()

    @router.post("/contacts", status_code=201)
    async def add(given: Newcomer) -> dict[str, Any]:
        number = given.number.strip() or (made_up_user_id() if given.hidden else "")
        try:
            person = await phone.chats.add(given.name, number, hidden=given.hidden)
        except UnusableNumber as error:
            raise HTTPException(422, str(error)) from error
        return person.story()

    @router.post("/calls", status_code=201)
    async def call(given: Call) -> dict[str, Any]:
        person = _person(phone, given.contact)
        if person.phone is None:
            raise HTTPException(422, "Nobody can call a person whose number is not known.")
        told = {
            "phoneNumber": person.phone,
            "clientName": given.client_name,
            "callSummary": given.summary,
            "agentId": given.agent,
            "conversationId": f"conv_call_{secrets.token_hex(8)}",
            "language": given.language,
        }
        known = {name: value for name, value in told.items() if value}
        answer: dict[str, Any] = await phone.outside.do("POST", "backend", "/calls", known)
        return answer

    return router


def _messages(phone: "Phone") -> APIRouter:
    router = APIRouter()

    @router.post("/messages", status_code=201)
    async def say(given: Said) -> dict[str, Any]:
        if given.kind != "location" and not given.text.strip():
            raise HTTPException(422, "There is nothing to send.")
        return await _send(phone, given.contact, **given.inbound())

    @router.post("/burst", status_code=201)
    async def burst(given: Burst) -> dict[str, Any]:
        _person(phone, given.contact)
        sids: list[str] = []
        for text in filter(None, map(str.strip, given.texts)):
            if sids:
                await asyncio.sleep(given.pause_ms / 1000)
            sids.append((await _send(phone, given.contact, body=text))["sid"])
        return {"sids": sids}

    return router


def _files(phone: "Phone") -> APIRouter:
    router = APIRouter()

    @router.post("/voice", status_code=201)
    async def voice(given: Note) -> dict[str, Any]:
        """A made-up voice note; ElevenLabs' simulator is told what it says."""
        return await _send_file(phone, given.contact, "audio", "audio/wav", tune(phone.dice), given.says)

    @router.post("/media", status_code=201)
    async def media(
        request: Request,
        contact: str,
        kind: Literal["image", "audio", "video", "document"],
        text: Annotated[str, Query(max_length=1024)] = "",
    ) -> dict[str, Any]:
        """The body is the file. `text`: a picture's caption, a document's name, what a voice note says."""
        content = bytearray()
        async for chunk in request.stream():
            content += chunk
            if len(content) > LARGEST:
                raise HTTPException(413, "WhatsApp takes files of 16 MB at most.")
        if not content:
            raise HTTPException(422, "The file is empty.")
        content_type = request.headers.get("content-type", "application/octet-stream").split(";")[0]
        return await _send_file(phone, contact, kind, content_type, bytes(content), text)

    return router


def _trouble(phone: "Phone") -> APIRouter:
    router = APIRouter()

    @router.post("/trouble")
    async def trouble(given: Switch) -> list[dict[str, Any]]:
        try:
            await phone.troubles.switch(given.key, on=given.on)
        except KeyError:
            raise HTTPException(404, f"There is no trouble {given.key}.") from None
        return phone.troubles.stories()

    @router.post("/well")
    async def well() -> list[dict[str, Any]]:
        await phone.troubles.all_well()
        return phone.troubles.stories()

    return router


def _machine(phone: "Phone") -> APIRouter:
    router = APIRouter()

    @router.post("/kill", status_code=202)
    async def kill(given: Part) -> list[dict[str, Any]]:
        try:
            phone.machine.kill(given.part)
        except KeyError:
            raise HTTPException(404, f"There is no service {given.part}.") from None
        return phone.machine.lives.stories()

    @router.post("/restart", status_code=202)
    async def restart(given: Part) -> list[dict[str, Any]]:
        if given.part not in {life["part"] for life in phone.machine.lives.stories()} & {"kafka", "mongo"}:
            raise HTTPException(404, f"{given.part} is not this sandbox's to restart.")
        phone.spawn(phone.machine.restart(given.part))
        return phone.machine.lives.stories()

    @router.post("/clock")
    async def clock(given: Clock) -> dict[str, Any]:
        if given.seconds <= 0:
            raise HTTPException(422, "Time only goes forward: start another sandbox to be back in the present.")
        await phone.time.advance(given.seconds)
        return phone.time.story()

    return router


def _person(phone: "Phone", address: str) -> Person:
    person = phone.chats.people.get(address)
    if person is None:
        raise HTTPException(404, "There is no such contact.")
    return person


async def _send(phone: "Phone", contact: str, **inbound: Any) -> dict[str, Any]:
    """Returns when it is on the handset; its webhook is under way."""
    given = _person(phone, contact).given
    told = await phone.outside.do("POST", "twilio", "/inbound", {"from": given, "wait": False, **inbound})
    return {"sid": told["sid"]}


async def _send_file(
    phone: "Phone", contact: str, kind: str, content_type: str, content: bytes, text: str
) -> dict[str, Any]:
    _person(phone, contact)
    if kind == "audio" and text:
        heard = {"sha256": hashlib.sha256(content).hexdigest(), "text": text}
        await phone.outside.do("POST", "elevenlabs", "/recordings", heard)
    file = {"content_type": content_type, "base64": base64.b64encode(content).decode()}
    return await _send(phone, contact, kind=kind, body=text if kind != "audio" else "", media=file)


def language(accepted: str) -> str:
    """Spanish or English, whichever an `Accept-Language` names first."""
    for one in accepted.lower().split(","):
        tag = one.strip()[:2]
        if tag in {"es", "en"}:
            return tag
    return "en"
