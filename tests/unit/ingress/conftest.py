from collections.abc import AsyncIterator

import httpx
import pytest

from kit.service import Tools
from tests.unit.ingress.rig import Log, client, ingress


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
async def http(log: Log, tools: Tools) -> AsyncIterator[httpx.AsyncClient]:
    async with client(ingress(log, tools)) as http:
        yield http
