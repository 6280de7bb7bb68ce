"""Webhooks as we receive them: signatures, fields, retries, loss."""

import pytest
from twilio.request_validator import RequestValidator, get_signature_algorithm

from sandbox.twilio import TwilioSimulator
from sandbox.twilio.shapes import Kind
from sandbox.twilio.wire import Overrides, sign
from tests.contracts.sandbox_twilio.hooks import XML, Answer, Hook, Hooks
from tests.contracts.sandbox_twilio.sdk import OURS, USER, Sdk

KINDS: list[tuple[Kind, dict[str, str]]] = [
    ("text", {"MessageType": "text", "NumMedia": "0", "Body": "hola"}),
    ("image", {"MessageType": "image", "NumMedia": "1", "Body": "hola", "MediaContentType0": "image/jpeg"}),
    ("audio", {"MessageType": "audio", "NumMedia": "1", "Body": "", "MediaContentType0": "audio/ogg"}),
    ("document", {"MessageType": "document", "Body": "hola", "MediaContentType0": "application/pdf"}),
    ("location", {"MessageType": "location", "Body": "", "NumMedia": "0", "Latitude": "19.4326"}),
    ("contacts", {"MessageType": "contacts", "Body": "", "MediaContentType0": "text/vcard"}),
    ("button", {"MessageType": "interactive", "ButtonText": "hola", "ButtonType": "REPLY"}),
    ("referral", {"MessageType": "text", "ReferralSourceType": "ad", "ReferralNumMedia": "0"}),
    ("forwarded", {"Forwarded": "true"}),
    ("unknown", {"MessageType": "hologram", "X_New": "1"}),
]


@pytest.mark.parametrize(("kind", "fields"), KINDS, ids=[kind for kind, _ in KINDS])
async def test_kinds(sim: TwilioSimulator, hooks: Hooks, kind: Kind, fields: dict[str, str]) -> None:
    received = await sim.inbound(USER, "hola", kind)
    assert received.accepted
    (hook,) = hooks.requests
    assert fields.items() <= hook.form.items()
    assert hook.authentic(sim.profile.auth_token)


async def test_a_plain_text_has_the_captured_fields(sim: TwilioSimulator, hooks: Hooks) -> None:
    await sim.inbound(USER, "hola")
    (hook,) = hooks.requests
    assert set(hook.form) == {
        *("SmsMessageSid", "NumMedia", "ProfileName", "MessageType", "SmsSid", "WaId", "SmsStatus", "Body", "To"),
        *("NumSegments", "ReferralNumMedia", "MessageSid", "AccountSid", "ChannelMetadata", "From", "ApiVersion"),
        "ExternalUserId",
    }
    assert hook.headers["content-type"] == "application/x-www-form-urlencoded; charset=UTF-8"
    assert hook.headers["user-agent"] == "TwilioProxy/1.1"


@pytest.mark.parametrize(
    "body",
    ["", " lead\ntrail \n", "a&b=c+d %2F é 👨‍👩‍👧", "‮שלום", "x" * 1600, "tab\tbell\a"],  # noqa: PLE2502
)
async def test_awkward_bodies_are_signed_right(sim: TwilioSimulator, hooks: Hooks, body: str) -> None:
    await sim.inbound(USER, body)
    (hook,) = hooks.requests
    assert hook.form["Body"] == body
    assert hook.authentic(sim.profile.auth_token)


async def test_any_flipped_byte_is_rejected(sim: TwilioSimulator, hooks: Hooks) -> None:
    await sim.inbound(USER, "hola")
    (hook,) = hooks.requests
    validator = RequestValidator(sim.profile.auth_token)
    for name in hook.form:
        assert not validator.validate(hook.url, {**hook.form, name: hook.form[name] + "x"}, hook.signature)
    assert not hook.authentic(sim.profile.auth_token, hook.url + "/")
    assert not hook.authentic("another token")


def test_known_vector() -> None:
    form = {"CallSid": "CA1234567890ABCDE", "Caller": "+12349013030", "Digits": "1234"}
    form |= {"From": "+12349013030", "To": "+18005551212"}
    assert sign("12345", "https://example.com/myapp", form) == "NGAgWNhdnsLF8j385frvrQoi9sg="


async def test_query_goes_byte_for_byte_and_the_fragment_not_at_all(
    sim: TwilioSimulator, hooks: Hooks, sdk: Sdk
) -> None:
    sim.open_window(USER)
    url = f"{hooks.url}/cb?send=a%2Fb%20c&x=%7e&empty=#rc=2&rp=5xx"
    await sdk.send(status_callback=url)
    await sim.idle()
    assert [hook.url for hook in hooks.at("/cb")] == [url.partition("#")[0]] * 3
    assert all(hook.authentic(sim.profile.auth_token) for hook in hooks.requests)


async def test_public_url_is_signed_while_another_is_connected_to(sim: TwilioSimulator, hooks: Hooks) -> None:
    public = "https://Hooks.example.com"
    sim.configure(inbound_url=f"{public}/in?a=1#rc=0", connect={public: hooks.url})
    assert (await sim.inbound(USER, "hola")).accepted
    (hook,) = hooks.requests
    assert hook.headers["host"] == "Hooks.example.com"
    assert hook.authentic(sim.profile.auth_token, f"{public}/in?a=1")


async def test_shared_key_mode(sim: TwilioSimulator, hooks: Hooks) -> None:
    sim.configure(shared_key=("SKkey", "shared"))
    await sim.inbound(USER, "hola")
    (hook,) = hooks.requests
    settings = hook.headers["x-twilio-webhooks-signature-settings"]
    assert settings == "key=SKkey,algorithm=HMAC_SHA256"
    algorithm = get_signature_algorithm(settings)
    assert RequestValidator("shared").validate(hook.url, hook.form, hook.signature, algorithm)


async def test_status_callbacks(sim: TwilioSimulator, hooks: Hooks, sdk: Sdk) -> None:
    sim.open_window(USER)
    sid = await sdk.send()
    await sim.idle()
    assert sorted(hooks.statuses(sid)) == ["delivered", "read", "sent"]
    common = {"MessageSid", "SmsSid", "MessageStatus", "SmsStatus", "AccountSid", "From", "To", "ApiVersion"}
    common |= {"ChannelPrefix", "ChannelInstallSid", "ChannelToAddress"}
    fields = {hook.form["MessageStatus"]: set(hook.form) - common for hook in hooks.requests}
    assert fields["sent"] == {"StructuredMessage"}
    assert fields["delivered"] == fields["read"] == {"EventType", "ExternalUserId"}
    assert {hook.form["ChannelToAddress"] for hook in hooks.requests} == {"+3460011XXXX"}
    assert all(common <= set(hook.form) for hook in hooks.requests)


async def test_username_users_and_spellings(sim: TwilioSimulator, hooks: Hooks, sdk: Sdk) -> None:
    sim.contact(USER, hidden=True, bsuid="ES.13491208655302741918")
    await sim.inbound(USER, "hola")
    (hook,) = hooks.requests
    assert hook.form["From"] == hook.form["ExternalUserId"] == "whatsapp:ES.13491208655302741918"
    assert "WaId" not in hook.form
    await sdk.send(to=hook.form["From"])
    await sim.inbound("+5215512345678", "hola")
    assert hooks.at("/in")[-1].form["From"] == "whatsapp:+5215512345678"
    await sdk.send("mx", to="whatsapp:+525512345678")
    await sim.idle()
    assert sim.handset(USER).texts == ["hi"]
    assert sim.handset("+5215512345678").texts == ["mx"]


async def test_reply_to_and_fields_of_ones_own(sim: TwilioSimulator, hooks: Hooks) -> None:
    await sim.inbound(USER, "yes", reply_to="SM" + "1" * 32, X_Future="1", WaId=None)
    (hook,) = hooks.requests
    assert hook.form["OriginalRepliedMessageSid"] == "SM" + "1" * 32
    assert hook.form["OriginalRepliedMessageSender"] == OURS
    assert hook.form["X_Future"] == "1"
    assert "WaId" not in hook.form


def _failing(times: int, path: str = "/in") -> object:
    left = [times]

    def answer(hook: Hook) -> Answer:
        left[0] -= hook.path == path
        return (503, "text/plain", b"") if left[0] >= 0 and hook.path == path else XML

    return answer


async def test_default_policy_loses_on_503_and_overrides_recover(sim: TwilioSimulator, hooks: Hooks) -> None:
    hooks.answer = _failing(3)  # type: ignore[assignment]
    lost = await sim.inbound(USER, "lost")
    assert not lost.accepted
    assert len(hooks.requests) == 1
    assert [entry["code"] for entry in sim.debugger] == [11200]
    hooks.forget()
    hooks.answer = _failing(3)  # type: ignore[assignment]
    sim.configure(inbound_url=f"{hooks.url}/in#rc=3&rp=5xx,ct,rt")
    kept = await sim.inbound(USER, "kept")
    assert kept.accepted
    assert len(hooks.requests) == 4
    assert len({hook.headers["i-twilio-idempotency-token"] for hook in hooks.requests}) == 1
    assert [delivery.attempt for delivery in sim.deliveries if delivery.sid == kept.sid] == [1, 2, 3, 4]
    assert {hook.form["MessageSid"] for hook in hooks.requests} == {kept.sid}


async def test_connect_failure_is_retried_once_by_default(sim: TwilioSimulator) -> None:
    sim.configure(inbound_url="http://127.0.0.1:9/in")
    received = await sim.inbound(USER, "hola")
    assert not received.accepted
    assert [delivery.error for delivery in sim.deliveries] == ["ct", "ct"]
    assert [entry["code"] for entry in sim.debugger] == [11205]


async def test_fallback_url(sim: TwilioSimulator, hooks: Hooks) -> None:
    hooks.answer = _failing(1)  # type: ignore[assignment]
    sim.configure(fallback_url=f"{hooks.url}/fallback")
    assert (await sim.inbound(USER, "hola")).accepted
    (hook,) = hooks.at("/fallback")
    assert (hook.form["ErrorCode"], hook.form["ErrorUrl"]) == ("11200", f"{hooks.url}/in")
    assert hook.authentic(sim.profile.auth_token)


def test_overrides() -> None:
    plain = Overrides.parse("https://x.test/in?a=%2F")
    assert (plain.url, plain.retries, plain.connect_s, plain.read_s, plain.total_s) == (
        "https://x.test/in?a=%2F",
        1,
        5,
        15,
        15,
    )
    assert [plain.retried(reason) for reason in ("ct", "rt", "4xx", "5xx")] == [True, False, False, False]
    given = Overrides.parse("https://x.test/in?#ct=50&rt=3500&tt=99999&rc=9&rp=all&e=ashburn")
    assert (given.url, given.retries, given.connect_s, given.read_s, given.total_s) == (
        "https://x.test/in?",
        5,
        0.1,
        3.5,
        15,
    )
    assert given.retried("4xx")
