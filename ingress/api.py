"""The API for the main backend: start a conversation after a call, look one up, see the queues."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Path, Request
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticSerializationError

from ingress.bodies import Problem
from ingress.openapi import CALLS, problems
from ingress.settings import IngressSettings
from kit.errors import BrokerDown, StoreDown
from kit.ids import call_id
from kit.kafka.lag import GroupLag, lags
from kit.kafka.outlet import Outlet
from kit.kafka.refusal import UNREACHED
from kit.logs import get_log
from kit.reads import Reads
from kit.service import Tools
from kit.tracing import SpanKind, span
from schemas.attributes import Envelope
from schemas.contact import UnusableAddress, canonical, parse_address
from schemas.events import CallCompleted
from schemas.topics import CALL_COMPLETED

__all__ = ["Accepted", "Api"]

SOURCE = "hilo/api"
STARTING = {"http.request.method": "POST", "http.route": "/api/conversations/start-post-call"}
BEARER = HTTPBearer(auto_error=False, description="API_TOKEN")  # for the page only: the gate checks it (gate.py)


class Accepted(BaseModel):
    """The call is in Kafka. The same call told twice has the same id."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    event_id: str = Field(examples=["call_3f1c…"])


class Api:
    def __init__(self, settings: IngressSettings, outlet: Outlet, reads: Reads, tools: Tools) -> None:
        self._settings = settings
        self._outlet = outlet
        self._reads = reads
        self._tools = tools
        self._log = get_log("api")

    def router(self) -> APIRouter:
        router = APIRouter(prefix="/api", tags=["main backend"], dependencies=[Depends(BEARER)])
        add = router.add_api_route
        add(
            "/conversations/start-post-call",
            self.start_post_call,
            methods=["POST"],
            status_code=202,
            summary="A call has ended: greet its client on WhatsApp",
            responses=problems(400, 401, 413, 422, 429, 503),
        )
        add(
            "/conversations/{contact}",
            self.conversation,
            summary="The newest conversation with a contact, and its last messages",
            responses=problems(401, 404, 422, 429, 503),
        )
        add("/queue/stats", self.stats, summary="How far each group has read", responses=problems(401, 429, 503))
        return router

    async def start_post_call(
        self, call: Annotated[CallCompleted, Body(openapi_examples=CALLS)], request: Request
    ) -> Accepted:
        """Fields in camelCase or snake_case.

        The same call posted again (the same `conversationId`) has the same `eventId`, and is greeted once.
        """
        try:
            contact = canonical(parse_address(call.phone_number))
        except UnusableAddress as error:
            raise Problem(422, "phoneNumber cannot be used", {"phoneNumber": str(error)}) from None
        _check_writable(call)
        event_id = call_id(contact, call)
        envelope = Envelope(event_id, SOURCE, self._tools.clock.now(), contact, call)
        with span(f"POST {request.url.path}", request.headers, kind=SpanKind.SERVER, attributes=STARTING):
            try:
                await self._outlet.publish(CALL_COMPLETED.name, envelope, deadline=self._settings.publish_deadline_s)
            except BrokerDown:
                raise Problem(503, "Kafka did not acknowledge: try again") from None
            self._log.info("published", event_id=event_id, contact=contact, topic=CALL_COMPLETED.name)
        return Accepted(event_id=event_id)

    async def conversation(self, contact: Annotated[str, Path(examples=["+5215512345678"])]) -> dict[str, Any]:
        """The newest conversation with this contact and its last messages."""
        try:
            key = canonical(parse_address(contact))
            found = await self._reads.conversations(key, limit=1)
            messages = await self._reads.messages(found[0].id) if found else []
        except UnusableAddress as error:
            raise Problem(422, "contact cannot be used", {"contact": str(error)}) from None
        except StoreDown:
            raise Problem(503, "MongoDB is away: try again") from None
        if not found:
            raise Problem(404, "no conversation with this contact")
        shown = found[0].model_dump(mode="json", exclude={"lines", "rev", "open_key", "seq"})
        return {**shown, "messages": [one.model_dump(mode="json", exclude_none=True) for one in messages]}

    async def stats(self) -> list[GroupLag]:
        """Per topic: records kept, completed by our group, waiting."""
        try:
            return await lags(self._settings)
        except UNREACHED:
            raise Problem(503, "Kafka is away: try again") from None


def _check_writable(call: CallCompleted) -> None:
    """Python's JSON reads half a character (a lone surrogate), and nothing can write it again."""
    try:
        call.model_dump_json()
    except PydanticSerializationError:
        raise Problem(422, "the body cannot be used", {"body": "holds half a character"}) from None
