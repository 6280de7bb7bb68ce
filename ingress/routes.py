"""The webhooks: check, parse, publish, and answer only once the broker has it."""

import json
from collections.abc import Awaitable, Callable
from functools import wraps

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ingress import twilio
from ingress.bodies import ACKNOWLEDGED, Problem, read_body
from ingress.elevenlabs import call_facts, signature_holds
from ingress.forms import Form, parse_form
from ingress.settings import IngressSettings
from ingress.signature import Signature
from kit.errors import BrokerDown
from kit.ids import call_id
from kit.kafka.dead_letters import DeadLetters, Position
from kit.kafka.outlet import Outlet
from kit.logs import get_log
from kit.service import Tools
from kit.tracing import span
from schemas.attributes import Envelope, WireRecord
from schemas.contact import Contact, canonical, parse_address
from schemas.events import Event
from schemas.topics import CONTACT_LOG, MESSAGE_STATUS

__all__ = ["Webhooks"]

SOURCE = "hilo/ingress"
FORM = "application/x-www-form-urlencoded"
Endpoint = Callable[["Webhooks", Request], Awaitable[Response]]


def counted(endpoint: Endpoint) -> Endpoint:
    """Count every answer of a webhook, the refusals too."""

    @wraps(endpoint)
    async def wrapper(self: "Webhooks", request: Request) -> Response:
        status = 500
        try:
            with span(request.url.path):
                response = await endpoint(self, request)
            status = response.status_code
        except Problem as problem:
            status = problem.status
            raise
        else:
            return response
        finally:
            self.tools.metrics.count("hilo_webhooks_total", route=request.url.path, status=str(status))

    return wrapper


class Webhooks:
    """Keeps nothing: what the broker has not acknowledged was never received."""

    def __init__(self, settings: IngressSettings, outlet: Outlet, letters: DeadLetters, tools: Tools) -> None:
        self.tools = tools
        self._settings = settings
        self._outlet = outlet
        self._letters = letters
        self._log = get_log("webhooks")
        tokens = (settings.twilio_auth_token, settings.twilio_auth_token_next)
        self._signature = Signature(settings.public_base_url, [t.get_secret_value() for t in tokens if t])

    def router(self) -> APIRouter:
        router = APIRouter(include_in_schema=False)
        router.add_api_route("/webhook/twilio/incoming", self.incoming, methods=["POST"])
        router.add_api_route("/webhook/twilio/status", self.status, methods=["POST"])
        router.add_api_route("/webhook/elevenlabs/post-call", self.post_call, methods=["POST"])
        return router

    @counted
    async def incoming(self, request: Request) -> Response:
        form, body = await self._form(request)
        try:
            event = twilio.message_received(form, self.tools.clock.now())
        except twilio.Refused as refused:
            return await self._bury(request, body, refused)
        if event.channel not in self._settings.twilio_whatsapp_numbers:
            raise Problem(403, "To is none of our numbers")
        await self._publish(CONTACT_LOG.name, event.message_sid, canonical(parse_address(event.address)), event)
        return Response(ACKNOWLEDGED, media_type="text/xml")

    @counted
    async def status(self, request: Request) -> Response:
        form, body = await self._form(request)
        try:
            event = twilio.status_changed(form, request.query_params, self.tools.clock.now())
        except twilio.Refused as refused:
            return await self._bury(request, body, refused)
        await self._publish(
            MESSAGE_STATUS.name, f"{event.message_sid}-{event.status}", canonical(parse_address(event.address)), event
        )
        return Response(ACKNOWLEDGED, media_type="text/xml")

    @counted
    async def post_call(self, request: Request) -> Response:
        secret = self._settings.elevenlabs_webhook_secret
        if secret is None:
            raise Problem(404, "ELEVENLABS_WEBHOOK_SECRET is not set")
        body = await read_body(request, "application/json")
        header = request.headers.get("elevenlabs-signature", "")
        if not signature_holds(secret.get_secret_value(), header, body, self.tools.clock.now()):
            raise Problem(403, "the signature does not hold")
        try:
            payload = json.loads(body)
        except ValueError:
            raise Problem(422, "not JSON") from None
        found = call_facts(payload) if isinstance(payload, dict) else None
        if found:
            contact, facts = found
            await self._publish(CONTACT_LOG.name, f"{call_id(contact, facts)}-facts", contact, facts)
        return JSONResponse({"status": "published" if found else "ignored"})

    async def _form(self, request: Request) -> tuple[Form, bytes]:
        """A form that Twilio signed, for our account, and its bytes. Raises Problem."""
        body = await read_body(request, FORM)
        try:
            form = parse_form(body)
        except ValueError:
            raise Problem(415, "not a form") from None
        if not self._signature.holds(
            request.scope, form, request.headers.get("x-twilio-signature", "").encode("latin-1")
        ):
            self._log.warning("signature refused", route=request.url.path)
            raise Problem(403, "the signature does not hold")
        if form.get("AccountSid") != self._settings.twilio_account_sid:
            raise Problem(403, "another account")
        return form, body

    async def _bury(self, request: Request, body: bytes, refused: twilio.Refused) -> Response:
        """Twilio would only send it again: keep the bytes for a person to look at, and acknowledge them."""
        record = WireRecord(None, body, [("content-type", FORM.encode())])
        position = Position(request.url.path, 0, 0)
        try:
            await self._letters.bury(record, position, group="ingress", reason="refused", detail=str(refused))
        except BrokerDown:
            raise Problem(503, "try again") from None
        return Response(ACKNOWLEDGED, media_type="text/xml")

    async def _publish(self, topic: str, event_id: str, contact: Contact, event: Event) -> None:
        envelope = Envelope(event_id, SOURCE, self.tools.clock.now(), contact, event)
        try:
            await self._outlet.publish(topic, envelope, deadline=self._settings.publish_deadline_s)
        except BrokerDown as error:
            self._log.warning("not published", event_id=event_id, contact=contact, error=str(error))
            raise Problem(503, "try again") from None
        self._log.info("published", event_id=event_id, contact=contact, topic=topic, type=event.type_name())
