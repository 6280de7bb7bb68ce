"""Speech to text: the official SDK, plain httpx, and what a form may hold."""

import warnings
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from sandbox.elevenlabs import ElevenLabsSimulator
from sandbox.elevenlabs.multipart import parse_form

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it still names websockets' legacy client
    from elevenlabs.client import AsyncElevenLabs
    from elevenlabs.core.api_error import ApiError

VOICE = b"OggS\x00\x02\r\n--\r\n\r\nnot a boundary\xff"
PATH = "/v1/speech-to-text"


@pytest_asyncio.fixture(loop_scope="session")
async def rest(sim: ElevenLabsSimulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=sim.url, headers={"xi-api-key": "sk_sim"}, trust_env=False) as client:
        yield client


def upload(data: bytes = VOICE, **fields: str) -> dict[str, Any]:
    return {"data": {"model_id": "scribe_v1", **fields}, "files": {"file": ("voice.ogg", data, "audio/ogg")}}


async def test_the_official_client_is_told_what_was_said(sim: ElevenLabsSimulator) -> None:
    sim.recording(VOICE, "Quiero cambiar mi cita.")
    sdk = AsyncElevenLabs(api_key="sk_sim", base_url=sim.url)
    heard: Any = await sdk.speech_to_text.convert(model_id="scribe_v1", file=("voice.ogg", VOICE, "audio/ogg"))
    assert (heard.text, heard.language_code, heard.language_probability) == ("Quiero cambiar mi cita.", "spa", 0.98)
    assert "".join(word.text for word in heard.words) == heard.text
    assert {word.type for word in heard.words} == {"word", "spacing"}
    assert heard.words[-1].end == heard.audio_duration_secs
    with pytest.raises(ApiError) as refused:
        await sdk.speech_to_text.convert(model_id="whisper", file=VOICE)
    assert refused.value.status_code == 400
    await sdk._client_wrapper.httpx_client.httpx_client.aclose()


async def test_the_official_client_hears_of_a_busy_server(sim: ElevenLabsSimulator) -> None:
    """Without its retries: those of 2.78.0 send the file alone, without the model, and are refused for that."""
    sim.fault("http", at="rest.speech", status=429)
    sdk = AsyncElevenLabs(api_key="sk_sim", base_url=sim.url)
    once: Any = {"request_options": {"max_retries": 0}}
    with pytest.raises(ApiError) as busy:
        await sdk.speech_to_text.convert(model_id="scribe_v2", file=VOICE, **once)
    assert busy.value.status_code == 429
    heard: Any = await sdk.speech_to_text.convert(model_id="scribe_v2", file=VOICE, language_code="pt", **once)
    assert (heard.language_code, heard.language_probability) == ("por", 1.0)
    await sdk._client_wrapper.httpx_client.httpx_client.aclose()


async def test_the_same_file_always_says_the_same(sim: ElevenLabsSimulator, rest: httpx.AsyncClient) -> None:
    texts = [(await rest.post(PATH, **upload(bytes([1, n])))).json()["text"] for n in [*range(20), *range(20)]]
    assert texts[:20] == texts[20:]
    assert len(set(texts)) > 1
    assert sim.stats()["transcriptions"] == 40


async def test_what_a_file_says_can_be_decided_over_http(sim: ElevenLabsSimulator, rest: httpx.AsyncClient) -> None:
    told = {"sha256": sha256(VOICE).hexdigest(), "text": "Hello.", "language": "eng"}
    assert (await rest.post("/__sim/recordings", json=told)).status_code == 200
    assert (await rest.post("/__sim/recordings", json=told | {"sha256": "x"})).status_code == 422
    heard = (await rest.post(PATH, **upload())).json()
    assert (heard["text"], heard["language_code"]) == ("Hello.", "eng")
    sim.reset()
    assert (await rest.post(PATH, **upload())).json()["text"] != "Hello."


async def test_silence(sim: ElevenLabsSimulator, rest: httpx.AsyncClient) -> None:
    heard = (await rest.post(PATH, **upload(b"\x00" * 400))).json()
    assert (heard["text"], heard["words"]) == ("", [])


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(upload(model_id="whisper"), 400, id="a model that cannot"),
        pytest.param(upload(b""), 400, id="empty file"),
        pytest.param({"data": {"model_id": "scribe_v1"}}, 422, id="no form with files"),
        pytest.param({"files": {"file": ("a", b"x")}}, 422, id="no model"),
        pytest.param({"files": {"model_id": (None, b"scribe_v1"), "file": (None, b"x")}}, 400, id="no file"),
        pytest.param({"content": b"x", "headers": {"content-type": "multipart/form-data; boundary=b"}}, 422, id="bare"),
    ],
)
async def test_refusals(sim: ElevenLabsSimulator, rest: httpx.AsyncClient, request_: Any, status: int) -> None:
    answer = await rest.post(PATH, **request_)
    assert answer.status_code == status
    assert answer.json()["detail"]["status"]
    assert sim.stats()["transcriptions"] == 0


async def test_a_wrong_key(sim: ElevenLabsSimulator, rest: httpx.AsyncClient) -> None:
    assert (await rest.post(PATH, **upload(), headers={"xi-api-key": "sk_wrong"})).status_code == 401


async def test_faults(sim: ElevenLabsSimulator, rest: httpx.AsyncClient) -> None:
    sim.fault("http", at="rest.speech", status=429, retry_after=3)
    busy = await rest.post(PATH, **upload())
    assert (busy.status_code, busy.headers["retry-after"]) == (429, "3")
    sim.fault("malformed_json", at="rest.speech")
    with pytest.raises(ValueError, match="Unterminated"):
        (await rest.post(PATH, **upload())).json()


@given(st.binary(), st.text(st.characters(exclude_characters='"\r\n\\', exclude_categories=["Cs", "Cc"]), min_size=1))
def test_a_form_is_read_back_byte_for_byte(data: bytes, filename: str) -> None:
    sent = httpx.Request("POST", "http://x", files={"file": (filename, data, "audio/ogg")}, data={"a": "ñ"})
    form = parse_form(sent.headers["content-type"], sent.read())
    assert (form["file"].data, form["file"].media_type, form["a"].text) == (data, "audio/ogg", "ñ")
    assert form["file"].filename == filename


@pytest.mark.parametrize("kind", ["", "application/json", "multipart/form-data", "multipart/form-data; boundary=other"])
def test_what_is_no_form(kind: str) -> None:
    with pytest.raises(ValueError, match=r"multipart|boundaries"):
        parse_form(kind, b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n--b--\r\n')
