"""The webhooks: check, parse, publish, and answer only once the broker has it."""

from pydantic_core import from_json
from starlette.responses import JSONResponse, Response

from ingress import twilio
from ingress.bodies import ACKNOWLEDGED, Problem
from ingress.door import Call, Endpoint
from ingress.elevenlabs import MAX_CALL, call_facts, signature_holds
from ingress.forms import Form, parse_form
from ingress.settings import IngressSettings
from ingress.signature import Signature
from kit.errors import BrokerDown
from kit.ids import call_id
from kit.kafka.dead_letters import DeadLetters, Position
from kit.kafka.outlet import Outlet
from kit.logs import get_log
from kit.service import Tools
from schemas.attributes import Envelope, WireRecord
from schemas.contact import Contact, canonical, parse_address
from schemas.events import Event
from schemas.topics import CONTACT_LOG, MESSAGE_STATUS

__all__ = ["Webhooks"]

SOURCE = "hilo/ingress"
FORM, JSON = b"application/x-www-form-urlencoded", b"application/json"


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

    @property
    def routes(self) -> dict[str, Endpoint]:
        return {
            "/webhook/twilio/incoming": self.incoming,
            "/webhook/twilio/status": self.status,
            "/webhook/elevenlabs/post-call": self.post_call,
        }

    async def incoming(self, call: Call) -> Response:
        form, body = await self._form(call)
        try:
            event = twilio.message_received(form, self.tools.clock.now())
        except twilio.Refused as refused:
            return await self._bury(call, body, refused)
        if event.channel not in self._settings.twilio_whatsapp_numbers:
            raise Problem(403, "To is none of our numbers")
        await self._publish(CONTACT_LOG.name, event.message_sid, canonical(parse_address(event.address)), event)
        return ACKNOWLEDGED

    async def status(self, call: Call) -> Response:
        form, body = await self._form(call)
        try:
            event = twilio.status_changed(form, call.query, self.tools.clock.now())
        except twilio.Refused as refused:
            return await self._bury(call, body, refused)
        await self._publish(
            MESSAGE_STATUS.name, f"{event.message_sid}-{event.status}", canonical(parse_address(event.address)), event
        )
        return ACKNOWLEDGED

    async def post_call(self, call: Call) -> Response:
        secret = self._settings.elevenlabs_webhook_secret
        if secret is None:
            raise Problem(404, "ELEVENLABS_WEBHOOK_SECRET is not set")
        body = await call.body(JSON, MAX_CALL)
        header = call.headers.get(b"elevenlabs-signature", b"").decode("latin-1")
        if not signature_holds(secret.get_secret_value(), header, body, self.tools.clock.now()):
            raise self._unsigned(call)
        try:
            payload = from_json(body)  # unlike Python's own it refuses what cannot be written again
        except ValueError:
            raise Problem(422, "not JSON") from None
        found = call_facts(payload) if isinstance(payload, dict) else None
        if found:
            contact, facts = found
            await self._publish(CONTACT_LOG.name, f"{call_id(contact, facts)}-facts", contact, facts)
        return JSONResponse({"status": "published" if found else "ignored"})

    async def _form(self, call: Call) -> tuple[Form, bytes]:
        """A form that Twilio signed, for our account, and its bytes. Raises Problem."""
        body = await call.body(FORM)
        try:
            form = parse_form(body)
        except ValueError:
            raise Problem(415, "not a form") from None
        if not self._signature.holds(call.scope, form, call.headers.get(b"x-twilio-signature", b"")):
            raise self._unsigned(call)
        if form.get("AccountSid") != self._settings.twilio_account_sid:
            raise Problem(403, "another account")
        return form, body

    def _unsigned(self, call: Call) -> Problem:
        self.tools.metrics.count("hilo_signatures_refused_total", route=call.path)
        self._log.warning("signature refused", route=call.path)
        return Problem(403, "the signature does not hold")

    async def _bury(self, call: Call, body: bytes, refused: twilio.Refused) -> Response:
        """Twilio would only send it again: keep the bytes for a person to look at, and acknowledge them."""
        record = WireRecord(None, body, [("content-type", FORM)])
        position = Position(call.path, 0, 0)
        try:
            await self._letters.bury(record, position, group="ingress", reason="refused", detail=str(refused))
        except BrokerDown:
            raise Problem(503, "try again") from None
        return ACKNOWLEDGED

    async def _publish(self, topic: str, event_id: str, contact: Contact, event: Event) -> None:
        envelope = Envelope(event_id, SOURCE, self.tools.clock.now(), contact, event)
        try:
            await self._outlet.publish(topic, envelope, deadline=self._settings.publish_deadline_s)
        except BrokerDown as error:
            self._log.warning("not published", event_id=event_id, contact=contact, error=str(error))
            raise Problem(503, "try again") from None
        self._log.info("published", event_id=event_id, contact=contact, topic=topic, type=event.type_name())
