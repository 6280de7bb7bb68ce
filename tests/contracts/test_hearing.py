"""Voice notes from Twilio's simulator through ElevenLabs' simulator into words; and everything that may go wrong."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from kit.http import PooledClient
from kit.media import MOST_BYTES, MediaRefused, TwilioMedia
from kit.metrics import Metrics
from kit.settings import TwilioSettings
from kit.twilio import Twilio
from processor.hearing import Hearing, TranscriptionFailed
from processor.presence import Presence
from processor.transcribing import ElevenLabsTranscriber
from sandbox.elevenlabs import ElevenLabsSimulator, sandbox_agent
from sandbox.twilio import Profile, TwilioSimulator
from sandbox.twilio.listener import Listener
from schemas.events import Media, MessageReceived
from tests.conftest import FakeClock
from tests.running import eventually

OGG = b"OggS" + bytes(range(200))
CLIENT = "+34600111222"


@pytest.fixture
async def twilio() -> AsyncIterator[TwilioSimulator]:
    async with TwilioSimulator(Profile(speed=1000)) as sim:
        yield sim


@pytest.fixture
async def eleven() -> AsyncIterator[ElevenLabsSimulator]:
    async with ElevenLabsSimulator([sandbox_agent()], seed=7) as sim:
        yield sim


def settings(sim: TwilioSimulator, **more: Any) -> TwilioSettings:
    known = {
        "twilio_account_sid": sim.profile.account_sid,
        "twilio_auth_token": sim.profile.auth_token,
        "twilio_whatsapp_numbers": "+14155238886",
        "twilio_base_url": sim.url,
    }
    return TwilioSettings(**{**known, **more}, _env_file=None)


@pytest.fixture
async def media(twilio: TwilioSimulator, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[TwilioMedia]:
    monkeypatch.setattr("kit.media.NOT_YET_S", (0.01, 0.02))
    found = TwilioMedia(settings(twilio))
    yield found
    await found.stop()


def note(sim: TwilioSimulator, content: bytes = OGG, content_type: str = "audio/ogg") -> MessageReceived:
    """What the ingress would make of it."""
    message = sim.account.ledger.messages[sim.say(CLIENT, "", "audio", media=(content_type, content)).sid]
    url = f"{sim.url}/2010-04-01/Accounts/{sim.profile.account_sid}/Messages/{message.sid}/Media/{message.media[0].sid}"
    return MessageReceived(
        message_sid=message.sid,
        channel="+14155238886",
        address=CLIENT,
        kind="audio",
        media=[Media(url=url, content_type=content_type)],
        received_at=datetime.now(UTC),
    )


async def test_a_voice_note_becomes_words(
    twilio: TwilioSimulator, eleven: ElevenLabsSimulator, media: TwilioMedia
) -> None:
    eleven.recording(OGG, "Quiero cambiar mi cita.")
    transcriber = ElevenLabsTranscriber(eleven.url, "sk_sim")
    hearing = Hearing(media.sound, transcriber, Metrics())
    assert await hearing.words(note(twilio)) == "Quiero cambiar mi cita."
    await transcriber.stop()
    assert twilio.account.ledger.counts["cdn.credential_leaked"] == 0


async def test_silence_is_nothing_heard(
    twilio: TwilioSimulator, eleven: ElevenLabsSimulator, media: TwilioMedia
) -> None:
    eleven.recording(OGG, "  ")
    transcriber = ElevenLabsTranscriber(eleven.url, "sk_sim")
    assert await Hearing(media.sound, transcriber, Metrics()).words(note(twilio)) is None
    await transcriber.stop()


async def test_fresh_media_that_is_not_there_yet_is_asked_for_again(
    twilio: TwilioSimulator, media: TwilioMedia
) -> None:
    twilio.account.profile = twilio.profile.model_copy(update={"media_404_first_n": 2})
    event = note(twilio)
    assert (await media.sound(event.media[0].url, event.message_sid)).content == OGG
    twilio.account.profile = twilio.profile.model_copy(update={"media_404_first_n": 9})
    late = note(twilio)
    with pytest.raises(MediaRefused, match="not there"):
        await media.sound(late.media[0].url, late.message_sid)


@pytest.mark.parametrize(
    "url",
    ["https://evil.example/x", "{base}/2010-04-01/Accounts/AC{zeros}/Messages/{sid}/Media/{media}",
     "{base}/2010-04-01/Accounts/{account}/Messages/MM{zeros}/Media/{media}", "{base}.evil.example/",
     "{base}/2010-04-01/Accounts/{account}/Messages/{sid}/Media/{media}/../../x", "file:///etc/passwd", ""],
)  # fmt: skip
async def test_our_key_goes_nowhere_but_to_this_messages_media(
    twilio: TwilioSimulator, media: TwilioMedia, url: str
) -> None:
    event = note(twilio)
    *_, sid, _, name = event.media[0].url.split("/")
    bent = url.format(base=twilio.url, account=twilio.profile.account_sid, sid=sid, media=name, zeros="0" * 32)
    with pytest.raises(MediaRefused, match="not an address"):
        await media.sound(bent, event.message_sid)


@pytest.mark.parametrize(
    ("content", "kind", "refused"),
    [(b"OggSx", "video/mp4", ""), (b"ID3x", "application/octet-stream", ""), (b"<html>", "text/html", "no sound"),
     (b"RIFFx", "audio/wav", ""), (b"x" * (MOST_BYTES + 1), "audio/ogg", "more than")],
    ids=["ogg by its bytes", "mp3 by its bytes", "a page", "by its name", "too large"],
)  # fmt: skip
async def test_what_it_is_decides(
    twilio: TwilioSimulator, media: TwilioMedia, content: bytes, kind: str, refused: str
) -> None:
    event = note(twilio, content, kind)
    if not refused:
        assert (await media.sound(event.media[0].url, event.message_sid)).content_type.startswith("audio/")
        return
    with pytest.raises(MediaRefused, match=refused):
        await media.sound(event.media[0].url, event.message_sid)


class Redirecting:
    """Stands where Twilio should: sends whoever comes to `target`, and remembers their keys."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.keys: list[bytes | None] = []

    async def __call__(self, scope: dict[str, Any], _receive: Any, send: Any) -> None:
        self.keys.append(dict(scope["headers"]).get(b"authorization"))
        headers = [(b"location", self.target.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


@pytest.mark.parametrize(
    ("target", "refused"),
    [("https://evil.example/x", "somebody else"), ("http://media.twiliocdn.com/x", "somebody else"),
     ("https://twiliocdn.com.evil.example/x", "somebody else"), ("", "too many redirects"),
     ("/again", "too many redirects")],
)  # fmt: skip
async def test_redirects_lead_to_twilio_only_and_without_our_key(
    twilio: TwilioSimulator, target: str, refused: str
) -> None:
    app = Redirecting(target)
    listener = Listener(app)
    await listener.start()
    found = TwilioMedia(settings(twilio, twilio_base_url=listener.url))
    path = f"/2010-04-01/Accounts/{twilio.profile.account_sid}/Messages/MM{'1' * 32}/Media/ME{'2' * 32}"
    with pytest.raises(MediaRefused, match=refused):
        await found.sound(f"{listener.url}{path}", f"MM{'1' * 32}")
    assert app.keys[0]
    assert set(app.keys[1:]) <= {None}
    await found.stop()
    await listener.stop()


@pytest.mark.parametrize(
    ("fault", "options", "reason"),
    [("http", {"status": 500}, "HTTP 500"), ("http", {"status": 429}, "HTTP 429"),
     ("malformed_json", {}, "JSONDecodeError")],
)  # fmt: skip
async def test_a_transcriber_that_fails_says_how(
    eleven: ElevenLabsSimulator, fault: str, options: dict[str, Any], reason: str
) -> None:
    transcriber = ElevenLabsTranscriber(eleven.url, "sk_sim")
    eleven.fault(fault, at="rest.speech", **options)
    with pytest.raises(TranscriptionFailed, match=reason):
        await transcriber.transcribe(OGG, "audio/ogg")
    await transcriber.stop()


async def test_an_agent_platform_that_is_away_is_a_failed_transcription() -> None:
    transcriber = ElevenLabsTranscriber("http://127.0.0.1:9", "sk_sim")
    with pytest.raises(TranscriptionFailed, match="ConnectError"):
        await transcriber.transcribe(OGG, "audio/ogg")
    await transcriber.stop()


async def test_whatever_fails_nothing_is_heard(twilio: TwilioSimulator, media: TwilioMedia) -> None:
    class Deaf:
        async def transcribe(self, _sound: bytes, _content_type: str) -> str:
            raise TranscriptionFailed("x")

    hearing = Hearing(media.sound, Deaf(), Metrics())
    assert await hearing.words(note(twilio)) is None
    assert await hearing.words(note(twilio, b"<html>", "text/html")) is None


async def test_typing_is_shown_and_the_message_read(twilio: TwilioSimulator, clock: FakeClock) -> None:
    http = PooledClient()
    presence = Presence(Twilio(settings(twilio), http), clock, Metrics())
    sid = twilio.say(CLIENT, "hola").sid
    fresh = MessageReceived(message_sid=sid, channel="+14155238886", address=CLIENT, received_at=clock.now())
    presence.show(fresh.model_copy(update={"repaired": True}))
    assert twilio.account.ledger.counts["typing"] == 0
    presence.show(fresh)

    async def typing() -> bool:
        return twilio.account.ledger.counts["typing"] == 1

    await eventually(typing, "the typing indicator")
    clock.advance(600)
    presence.show(fresh)
    await presence.stop()
    assert twilio.account.ledger.counts["typing"] == 1
    await http.stop()
