"""The ingress without Kafka and MongoDB: what it publishes is in a list, what it reads in a dictionary."""

from collections.abc import Mapping
from typing import Any

import httpx
from starlette.types import ASGIApp
from twilio.request_validator import RequestValidator

from ingress.app import application
from ingress.settings import IngressSettings
from kit.errors import BrokerDown
from kit.service import Tools
from sandbox.twilio.wire import encode_form
from schemas.attributes import Envelope, WireRecord
from schemas.documents import ConversationDocument, MessageDocument
from schemas.events import Event

ACCOUNT, TOKEN, NUMBER = "AC" + "1" * 32, "s3cret-auth-token", "+14155238886"
PUBLIC = "https://hooks.example.com/hilo"
INCOMING, STATUS, START = "/webhook/twilio/incoming", "/webhook/twilio/status", "/api/conversations/start-post-call"
FIRST, SECOND = "first-api-token", "second-api-token"
SECRETS = (TOKEN, FIRST, SECOND)
FORM = {
    "MessageSid": "SM" + "a" * 32,
    "AccountSid": ACCOUNT,
    "From": "whatsapp:+5215512345678",
    "To": f"whatsapp:{NUMBER}",
    "Body": "Hola, ¿qué tal?",
    "NumMedia": "0",
    "MessageType": "text",
}
CALL = {"phoneNumber": "+52 1 55 1234 5678", "clientName": "Ana", "callSummary": "la cita", "conversationId": "c1"}


class Log:
    """Stands for the outlet. `away`: nothing is acknowledged."""

    def __init__(self) -> None:
        self.published: list[tuple[str, Envelope[Event]]] = []
        self.letters: list[WireRecord] = []
        self.away = False

    async def publish(self, topic: str, envelope: Envelope[Event], **_: Any) -> None:
        if self.away:
            raise BrokerDown("away")
        self.published.append((topic, envelope))

    async def publish_record(self, topic: str, record: WireRecord, **_: Any) -> None:
        assert topic == "dead.letters"
        if self.away:
            raise BrokerDown("away")
        self.letters.append(record)


class Shelf:
    """Stands for `Reads`."""

    def __init__(self) -> None:
        self.found: dict[str, list[ConversationDocument]] = {}

    async def conversations(self, contact: str, limit: int = 20) -> list[ConversationDocument]:
        return self.found.get(contact, [])[:limit]

    async def messages(self, _conversation: str, limit: int = 50) -> list[MessageDocument]:
        assert limit
        return []


def settings(**changes: Any) -> IngressSettings:
    given: dict[str, Any] = {
        "public_base_url": PUBLIC,
        "twilio_account_sid": ACCOUNT,
        "twilio_auth_token": TOKEN,
        "twilio_whatsapp_numbers": NUMBER,
        "api_token": f"{FIRST},{SECOND}",
        "_env_file": None,
    }
    return IngressSettings(**{**given, **changes})


def ingress(log: Log, tools: Tools, shelf: Shelf | None = None, **changes: Any) -> ASGIApp:
    return application(settings(**changes), log, shelf or Shelf(), tools)  # type: ignore[arg-type]


def client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://ingress")


def signed(
    path: str, form: Mapping[str, str], token: str = TOKEN, public: str = PUBLIC
) -> tuple[bytes, dict[str, str]]:
    """A form as Twilio sends it: body and headers."""
    headers = {
        "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
        "X-Twilio-Signature": str(RequestValidator(token).compute_signature(public + path, form)),
    }
    return encode_form(form), headers


async def post(http: httpx.AsyncClient, path: str = INCOMING, form: Mapping[str, str] = FORM) -> httpx.Response:
    body, headers = signed(path, form)
    return await http.post(path, content=body, headers=headers)
