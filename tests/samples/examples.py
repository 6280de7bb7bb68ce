"""One event of each type with every field filled: what the samples were recorded from."""

from datetime import UTC, datetime

from schemas import events, notices
from schemas.events import Event
from schemas.topics import TOPICS

__all__ = ["AT", "CHANNEL", "CONTACT", "EXAMPLES", "EXPECTED_TYPES"]

AT = datetime(2026, 11, 23, 9, 30, 15, 250000, tzinfo=UTC)
CONTACT = "+525512345678"
CHANNEL = "+14155238886"
TURN = "turn_0123456789abcdef01234567"
SEND = f"{TURN}-1"
CONVERSATION = "conv_0123456789abcdef01234567"

_LINES = [events.Line(role="agent", message="Hola, soy Eva"), events.Line(role="user", message="Quiero una cita 🙂")]

_EVENTS: list[Event] = [
    events.CallCompleted(
        phone_number="+5215512345678",
        client_name="Ana María",
        call_summary="Pidió cita el martes.\nA las 10.",
        agent_id="agent_1",
        conversation_id="conv_call_1",
        language="es-MX",
        transcript=_LINES,
        ended_at=AT,
    ),
    events.CallFacts(
        conversation_id="conv_call_1",
        agent_id="agent_1",
        call_summary="Pidió cita el martes.",
        language="es",
        transcript=_LINES,
        ended_at=AT,
    ),
    events.MessageReceived(
        message_sid="MM00000000000000000000000000000001",
        channel=CHANNEL,
        address="+5215512345678",
        kind="image",
        text="¿Es esto? 👩🏽‍⚕️\n— Ana",
        media=[events.Media(url="https://api.twilio.com/m/1", content_type="image/jpeg")],
        location=events.Location(latitude=19.4326, longitude=-99.1332, address="Zócalo", label="Centro"),
        button=events.Button(text="Sí", payload="yes"),
        reply_to="SM00000000000000000000000000000002",
        profile_name="Ana",
        user_id="MX.9f3c",
        opt_out_type="STOP",
        fields={"WaId": "5215512345678", "Forwarded": "true"},
        received_at=AT,
        repaired=True,
    ),
    events.CloseRequested(conversation_id=CONVERSATION, last_message_at=AT, by="janitor"),
    events.TakenOver(by="luis", reason="queja"),
    events.HandedBack(by="luis"),
    events.OperatorSaid(by="luis", text="Hola, soy Luis.", channel=CHANNEL),
    events.EraseRequested(by="luis"),
    events.AddressRefused(address="+5215512345678", code=63024),
    events.SendRequested(
        contact=CONTACT,
        to="+5215512345678",
        channel=CHANNEL,
        conversation_id=CONVERSATION,
        turn=TURN,
        seq=3,
        purpose="greeting",
        parts=[events.Part(send_id=SEND, text="¡Hola Ana! 👋")],
        template=events.Template(content_sid="HX0123456789abcdef0123456789abcdef", variables={"1": "Ana", "2": "cita"}),
        in_reply_to=["SM1"],
        window_until=AT,
        not_after=AT,
    ),
    events.FenceRaised(contact=CONTACT, seq=4, turn=TURN, conversation_id=CONVERSATION, reason="takeover"),
    events.SendAgain(contact=CONTACT, channel="+14155238886", send_id=f"{TURN}-1"),
    events.EraseSends(contact=CONTACT, seq=5),
    events.StatusChanged(
        message_sid="SM00000000000000000000000000000003",
        status="undelivered",
        send_id=SEND,
        attempt=1,
        address=CONTACT,
        error_code=63024,
        error_message="Invalid message recipient",
        received_at=AT,
    ),
    notices.ConversationStarted(
        contact=CONTACT,
        at=AT,
        conversation_id=CONVERSATION,
        source="post_call",
        channel=CHANNEL,
        call_id="call_0123456789abcdef01234567",
    ),
    notices.ConversationClosed(contact=CONTACT, at=AT, conversation_id=CONVERSATION, message_count=7, by="janitor"),
    notices.ConversationEscalated(
        contact=CONTACT, at=AT, conversation_id=CONVERSATION, reason="pide una persona", summary="Cita"
    ),
    notices.ConversationTakenOver(contact=CONTACT, at=AT, conversation_id=CONVERSATION, turn=TURN, by="luis"),
    notices.MessageUndeliverable(
        contact=CONTACT, at=AT, send_id=SEND, conversation_id=CONVERSATION, code=21610, reason="opted out"
    ),
    notices.MessageUncertain(contact=CONTACT, at=AT, send_id=SEND, conversation_id=CONVERSATION, reason="no answer"),
    notices.MessageExpired(contact=CONTACT, at=AT, send_id=SEND, conversation_id=CONVERSATION),
    notices.ContactOptedOut(contact=CONTACT, at=AT, conversation_id=CONVERSATION),
    notices.ContactThrottled(contact=CONTACT, at=AT, conversation_id=CONVERSATION, reason="60 turns in an hour"),
    notices.AgentUnavailable(
        contact=CONTACT, at=AT, conversation_id=CONVERSATION, agent_id="agent_1", attempts=3, reason="timeout in sent"
    ),
    notices.CallRejected(contact="", at=AT, reason="unusable_address", topic="call.completed", partition=2, offset=41),
]

EXAMPLES: dict[str, Event] = {event.type_name(): event for event in _EVENTS}
EXPECTED_TYPES = {event.type_name(): event for topic in TOPICS for event in topic.events}
