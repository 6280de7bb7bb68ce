from collections.abc import AsyncIterator

import httpx
import pytest

from sandbox.twilio import Profile, TwilioSimulator
from tests.contracts.sandbox_twilio.hooks import Hooks
from tests.contracts.sandbox_twilio.sdk import Sdk


@pytest.fixture(scope="session")
async def hooks_server() -> AsyncIterator[Hooks]:
    server = Hooks()
    await server.listener.start()
    yield server
    await server.listener.stop()


@pytest.fixture
def hooks(hooks_server: Hooks) -> Hooks:
    hooks_server.forget()
    return hooks_server


@pytest.fixture(scope="session")
async def running() -> AsyncIterator[TwilioSimulator]:
    async with TwilioSimulator() as sim:
        yield sim


@pytest.fixture
async def sim(running: TwilioSimulator, hooks: Hooks) -> AsyncIterator[TwilioSimulator]:
    """Fast, with our hooks behind it, and with nothing left of the test before."""
    running.account.profile = Profile(
        speed=1000, mps=10_000, inbound_url=f"{hooks.url}/in", status_url=f"{hooks.url}/status"
    )
    running.account.templates.clear()
    await running.reset()
    yield running
    await running.reset()


@pytest.fixture
async def rest(sim: TwilioSimulator) -> AsyncIterator[httpx.AsyncClient]:
    auth = (sim.profile.account_sid, sim.profile.auth_token)
    async with httpx.AsyncClient(
        base_url=f"{sim.url}/2010-04-01/Accounts/{sim.profile.account_sid}", auth=auth
    ) as client:
        yield client


@pytest.fixture
async def control(sim: TwilioSimulator) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=f"{sim.control_url}/_sim") as client:
        yield client


@pytest.fixture
async def sdk(sim: TwilioSimulator) -> AsyncIterator[Sdk]:
    sdk = Sdk(sim)
    yield sdk
    sdk.client.http_client.session.close()  # type: ignore[attr-defined]
