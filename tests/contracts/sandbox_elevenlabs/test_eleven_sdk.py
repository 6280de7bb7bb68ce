"""The official Python SDK, unmodified, against the simulator through nothing but `base_url`."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from sandbox.elevenlabs import ElevenLabsSimulator, sign

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # it still names websockets' legacy client
    from elevenlabs.client import AsyncElevenLabs, ElevenLabs
    from elevenlabs.conversational_ai.conversation import (
        AsyncConversation,
        ClientTools,
        ConversationInitiationData,
    )
    from elevenlabs.core.api_error import ApiError
    from elevenlabs.errors import BadRequestError


@pytest_asyncio.fixture(loop_scope="session")
async def sdk(sim: ElevenLabsSimulator) -> AsyncIterator[AsyncElevenLabs]:
    client = AsyncElevenLabs(api_key="sk_sim", base_url=sim.url)
    yield client
    await client._client_wrapper.httpx_client.httpx_client.aclose()


async def _talk(sim: ElevenLabsSimulator, lines: list[str], **more: Any) -> tuple[str, list[str], list[str]]:
    """Say the lines one after the other; id of the conversation, answers, streamed parts."""
    heard: asyncio.Queue[str] = asyncio.Queue()
    parts: list[str] = []

    async def on_response(text: str) -> None:
        heard.put_nowait(text)

    async def on_part(text: str, _: Any) -> None:
        parts.append(text)

    client = ElevenLabs(api_key="sk_sim", base_url=sim.url)
    conversation = AsyncConversation(
        client,
        "agent_sandbox",
        requires_auth=True,
        audio_interface=None,
        callback_agent_response=on_response,
        callback_agent_chat_response_part=on_part,
        **more,
    )
    await conversation.start_session()  # type: ignore[no-untyped-call]
    answers = [await asyncio.wait_for(heard.get(), 5)]  # the first message
    for line in lines:
        await conversation.send_user_message(line)
        answers.append(await asyncio.wait_for(heard.get(), 5))
    await conversation.end_session()  # type: ignore[no-untyped-call]
    conversation_id = await conversation.wait_for_session_end()
    client._client_wrapper.httpx_client.httpx_client.close()
    return str(conversation_id), answers, parts


async def test_async_conversation_talks(sim: ElevenLabsSimulator) -> None:
    sim.agent().allow_overrides = []
    data = ConversationInitiationData(dynamic_variables={"customer_name": "Ana Pérez"})
    conversation_id, answers, parts = await _talk(sim, ["Hola"], config=data, user_id="+5215550001111")
    assert answers == ["Hola, soy Eva. ¿En qué puedo ayudarte?", "¡Hola, Ana! Soy Eva. ¿En qué te puedo ayudar?"]
    assert "".join(parts) == answers[1]
    assert sim.stats()["signed_urls"] == 1
    record = sim.world.records.get(conversation_id)
    assert record
    assert record.user_id == "+5215550001111"
    # the trap of §9.1: text_only one level too high is ignored, and this is a voice session
    assert record.text_only is False
    notes = [entry["text"] for entry in sim.wire(conversation_id) if entry.get("note") == "warning"]
    assert notes == ["unknown override text_only"]


async def test_client_tools_of_the_sdk_are_called_and_answered(sim: ElevenLabsSimulator) -> None:
    tools = ClientTools(loop=asyncio.get_running_loop())
    called: list[dict[str, Any]] = []

    async def escalate(parameters: dict[str, Any]) -> dict[str, bool]:
        called.append(parameters)
        return {"ok": True}

    tools.register("escalate_to_human", escalate, is_async=True)
    _, answers, _ = await _talk(sim, ["quiero hablar con un humano"], client_tools=tools)
    assert called[0]["priority"] == "high"
    assert answers[-1].startswith("Claro")


async def test_conversations_get_list_and_summary(sim: ElevenLabsSimulator, sdk: AsyncElevenLabs) -> None:
    sim.call(
        "+5215550001111",
        summary="Pidió cita el martes.",
        title="Cita",
        user_id="u1",
        data={"preferred_day": "martes"},
        transcript=[{"role": "agent", "message": "Hola"}, {"role": "user", "message": "Quiero una cita"}],
        conversation_id="conv_1",
    )
    for number in range(5):
        sim.call("+52", conversation_id=f"conv_more_{number}")
    conversations = sdk.conversational_ai.conversations
    got = await conversations.get("conv_1")
    assert got.status == "done"
    assert [turn.message for turn in got.transcript] == ["Hola", "Quiero una cita"]
    assert got.analysis
    assert got.analysis.transcript_summary == "Pidió cita el martes."
    assert got.metadata.phone_call
    assert got.metadata.phone_call.external_number == "+5215550001111"
    summary = await conversations.get_summary("conv_1", max_messages=1)
    assert summary.call_summary_title == "Cita"
    assert (summary.message_count, summary.messages_omitted) == (2, 1)
    page = await conversations.list(page_size=4, summary_mode="include")
    rest = await conversations.list(page_size=4, cursor=page.next_cursor)
    assert (page.has_more, rest.has_more) == (True, False)
    assert len({c.conversation_id for c in [*page.conversations, *rest.conversations]}) == 6
    mine = await conversations.list(user_id="u1")
    assert [c.conversation_id for c in mine.conversations] == ["conv_1"]
    with pytest.raises(ApiError) as missing:
        await conversations.get("conv_none")
    assert missing.value.status_code == 404


async def test_agents_users_and_signed_url(sim: ElevenLabsSimulator, sdk: AsyncElevenLabs) -> None:
    sim.call("+52", user_id="u1", conversation_id="conv_1")
    signed = await sdk.conversational_ai.conversations.get_signed_url(agent_id="agent_sandbox")
    assert signed.signed_url.startswith("ws://")
    agent = await sdk.conversational_ai.agents.get("agent_sandbox")
    assert agent.conversation_config.conversation
    assert "agent_response_complete" in (agent.conversation_config.conversation.client_events or [])
    users = await sdk.conversational_ai.users.list()
    assert users.users[0].last_contact_conversation_id == "conv_1"
    wrong = AsyncElevenLabs(api_key="sk_wrong", base_url=sim.url)
    with pytest.raises(ApiError) as refused:
        await wrong.conversational_ai.conversations.get_signed_url(agent_id="agent_sandbox")
    assert refused.value.status_code == 401
    await wrong._client_wrapper.httpx_client.httpx_client.aclose()


async def test_the_sdk_retries_a_busy_server(sim: ElevenLabsSimulator, sdk: AsyncElevenLabs) -> None:
    sim.call("+52", conversation_id="conv_1")
    fault = sim.fault("http", at="rest.get", status=503, retry_after=0)
    assert (await sdk.conversational_ai.conversations.get("conv_1")).conversation_id == "conv_1"
    assert fault.fired == 1


def test_webhooks_are_signed_as_the_sdk_expects() -> None:
    body = '{"type":"post_call_transcription","event_timestamp":1764000000,"data":{"conversation_id":"conv_sim_1"}}'
    secret = "wsec_sim_0123456789abcdef"
    assert sign(secret, 1764000000, body).endswith(
        "v0=6058c2c0130d9dfd7f4d25bc178786323853ad4ca8b2568897785f6b656bfb06"
    )
    client = ElevenLabs(api_key="x")
    fresh = sign(secret, 4_000_000_000, body)
    assert client.webhooks.construct_event(body, fresh, secret)["data"]["conversation_id"] == "conv_sim_1"
    with pytest.raises(BadRequestError):
        client.webhooks.construct_event(body, sign("other", 4_000_000_000, body), secret)
    client._client_wrapper.httpx_client.httpx_client.close()
