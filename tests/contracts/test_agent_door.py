"""The ways into a conversation, against the simulator: by the key, and by a signed URL."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from kit.http import PooledClient
from kit.metrics import Metrics
from ops.agent_check import check_agent
from ops.settings import OpsSettings
from processor.agent.client import AgentUnavailableError, Answer, PersistentAgent, Question
from processor.agent.door import SignedDoor
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.agent.timing import Timing
from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator
from tests.conftest import FakeClock

QUICK = Timing(connect=2, init=1.5, first=1.5, settle=0.05, close=0.1)
pytestmark = pytest.mark.expects_errors


@pytest.fixture
async def sim() -> AsyncIterator[ElevenLabsSimulator]:
    async with ElevenLabsSimulator([AgentFixture(agent_id="a", brain="echo")], seed=7) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[PooledClient]:
    one = PooledClient(concurrency=2)
    yield one
    await one.stop()


async def asked(
    sim: ElevenLabsSimulator, clock: FakeClock, http: PooledClient | None, key: str = "sk_sim"
) -> Answer | AgentUnavailableError:
    agent = ElevenLabsAgent(sim.url, key, clock, timing=QUICK, signed_over=http)
    try:
        return await PersistentAgent(agent, clock, Metrics()).ask(Question("c1", "a", "+525512345678", "hola"))
    except AgentUnavailableError as error:
        return error
    finally:
        await agent.stop()


async def test_a_signed_url_is_asked_for_every_socket_and_once(
    sim: ElevenLabsSimulator, clock: FakeClock, http: PooledClient
) -> None:
    agent = ElevenLabsAgent(sim.url, "sk_sim", clock, timing=QUICK, signed_over=http)
    for conversation in ("c1", "c1", "c2"):
        assert (await agent.ask(Question(conversation, "a", "u", "hola"))).messages == ["hola"]
    await agent.stop()
    assert (sim.stats()["signed_urls"], sim.stats()["handshakes"]) == (2, 2)


async def test_the_key_alone_asks_for_no_signed_url(sim: ElevenLabsSimulator, clock: FakeClock) -> None:
    assert isinstance(await asked(sim, clock, None), Answer)
    assert sim.stats()["signed_urls"] == 0


async def test_with_a_signed_url_the_handshake_carries_no_key(sim: ElevenLabsSimulator, http: PooledClient) -> None:
    way = await SignedDoor(sim.url, "sk_sim", http, 10).way("a")
    assert way.url.startswith("ws://")
    assert way.headers == {}
    assert "signature" not in repr(way)


async def test_a_signed_url_that_is_too_old(sim: ElevenLabsSimulator, clock: FakeClock, http: PooledClient) -> None:
    sim.world.signed_urls._ttl = -1
    end = await asked(sim, clock, http)
    assert isinstance(end, AgentUnavailableError)
    assert (end.kind, end.attempts) == ("config", 1)


@pytest.mark.parametrize(
    ("do", "kind", "attempts"),
    [
        pytest.param({"kind": "http", "status": 401}, "config", 1, id="401"),
        pytest.param({"kind": "http", "status": 404}, "config", 1, id="404"),
        pytest.param(
            {"kind": "http", "status": 401, "body": {"detail": {"status": "quota_exceeded"}}}, "quota", 1, id="quota"
        ),
        pytest.param({"kind": "http", "status": 429}, "capacity", 3, id="429"),
        pytest.param({"kind": "http", "status": 500}, "transient", 3, id="500"),
        pytest.param({"kind": "accept_hang", "ms": 2000}, "timeout", 3, id="silence"),
        pytest.param({"kind": "malformed_json"}, "protocol", 2, id="not JSON"),
    ],
)
async def test_no_signed_url(
    sim: ElevenLabsSimulator, clock: FakeClock, http: PooledClient, do: dict[str, Any], kind: str, attempts: int
) -> None:
    fault = sim.fault(at="rest.signed_url", times=None, **do)
    end = await asked(sim, clock, http)
    assert isinstance(end, AgentUnavailableError)
    assert (end.kind, end.attempts, fault.fired) == (kind, attempts, attempts)
    assert sim.stats()["handshakes"] == 0


async def test_a_busy_rest_interface_says_when_to_come_back(
    sim: ElevenLabsSimulator, clock: FakeClock, http: PooledClient
) -> None:
    sim.fault("http", "rest.signed_url", status=503, retry_after=9)
    assert isinstance(await asked(sim, clock, http), Answer)
    assert clock.slept == [9]


@pytest.mark.parametrize("key", ["sk_sim", "sk_wrong"])
async def test_a_wrong_key_is_our_configuration(
    sim: ElevenLabsSimulator, clock: FakeClock, http: PooledClient, key: str
) -> None:
    end = await asked(sim, clock, http, key)
    assert isinstance(end, Answer) is (key == "sk_sim")
    assert isinstance(end, Answer) or end.kind == "config"


async def test_nobody_listens_at_the_rest_interface(clock: FakeClock, http: PooledClient) -> None:
    agent = ElevenLabsAgent("http://127.0.0.1:9", "k", clock, timing=QUICK, signed_over=http)
    with pytest.raises(AgentUnavailableError) as spent:
        await PersistentAgent(agent, clock, Metrics()).ask(Question("c1", "a", "u", "hola"))
    await agent.stop()
    assert (spent.value.kind, spent.value.attempts) == ("transient", 3)


# What `hilo doctor` makes of it


def settings(sim: ElevenLabsSimulator, **more: Any) -> OpsSettings:
    given: dict[str, Any] = {
        "elevenlabs_base_url": sim.url,
        "elevenlabs_api_key": SecretStr("sk_sim"),
        "default_agent_id": "a",
        "elevenlabs_auth": "signed_url",
    }
    return OpsSettings(_env_file=None, **(given | more))


@pytest.mark.parametrize(
    ("more", "found"),
    [
        pytest.param({}, ("ok", "agent a is there", ""), id="all well"),
        pytest.param(
            {"elevenlabs_api_key": SecretStr("x")}, ("fail", "HTTP 401", "check ELEVENLABS_API_KEY"), id="wrong key"
        ),
        pytest.param({"default_agent_id": "b"}, ("fail", "HTTP 404", "check DEFAULT_AGENT_ID"), id="wrong agent"),
        pytest.param({"default_agent_id": ""}, ("fail", "DEFAULT_AGENT_ID is missing", "see .env.example"), id="none"),
        pytest.param(
            {"elevenlabs_base_url": "http://127.0.0.1:9"},
            ("fail", "ClientConnectorError", "ELEVENLABS_BASE_URL?"),
            id="nobody listens",
        ),
    ],
)
async def test_the_doctor_looks_at_the_agent(
    sim: ElevenLabsSimulator, more: dict[str, Any], found: tuple[str, str, str]
) -> None:
    first = (await check_agent(settings(sim, **more)))[0]
    assert (first.state, first.detail, first.remedy) == found


@pytest.mark.parametrize("auth", ["signed_url", "api_key"])
async def test_the_doctor_asks_for_a_signed_url_where_one_is_needed(sim: ElevenLabsSimulator, auth: str) -> None:
    sim.fault("http", "rest.signed_url", status=403, times=None)
    findings = await check_agent(settings(sim, elevenlabs_auth=auth))
    said = [one.detail for one in findings if one.state == "fail"]
    assert said == (["no signed URL: HTTP 403"] if auth == "signed_url" else [])


async def test_the_doctor_reads_the_agent(sim: ElevenLabsSimulator) -> None:
    sim.agent("a").allow_overrides = []
    assert "fail" in [one.state for one in await check_agent(settings(sim))][1:]
