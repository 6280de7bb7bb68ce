"""The ingress in two processes: one port, one sum of metrics, one life."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client.mmap_dict import MmapedDict
from twilio.request_validator import RequestValidator

from kit.settings import KafkaSettings
from sandbox.stack.ports import free_ports
from tests.running import eventually

pytestmark = pytest.mark.timeout(240)  # three processes import everything on whatever the machine has left
ACCOUNT, TOKEN, PUBLIC = "AC" + "1" * 32, "s3cret", "https://hooks.example.com"
STATUS = "/webhook/twilio/status"
FORM = {"MessageSid": "SM1", "MessageStatus": "sent", "AccountSid": ACCOUNT, "To": "whatsapp:+5215512345678"}
Ingress = tuple[asyncio.subprocess.Process, str]


async def start(kafka: KafkaSettings, port: int) -> asyncio.subprocess.Process:
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.kafka_bootstrap_servers,
        "KAFKA_TOPIC_PREFIX": kafka.kafka_topic_prefix,
        "INGRESS_PORT": str(port),
        "UVICORN_WORKERS": "2",
        "PUBLIC_BASE_URL": PUBLIC,
        "TWILIO_ACCOUNT_SID": ACCOUNT,
        "TWILIO_AUTH_TOKEN": TOKEN,
        "TWILIO_WHATSAPP_NUMBERS": "+14155238886",
        "API_TOKEN": "x",
    }
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "ingress", stdout=asyncio.subprocess.DEVNULL, stderr=pipe, env=os.environ | environment
    )


@pytest.fixture
async def ingress(kafka: KafkaSettings) -> AsyncIterator[Ingress]:
    (port,) = free_ports(1)
    process = await start(kafka, port)
    url = f"http://127.0.0.1:{port}"
    try:
        await eventually(lambda: _accepts(url), "Kafka reached", within=90)
        await eventually(lambda: _both(process.pid), "both workers", within=90)
        yield process, url
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def _accepts(url: str) -> bool:
    with suppress(httpx.TransportError):
        return await post(url) == 200
    return False


async def _both(pid: int) -> bool:
    return len(children(pid)) == 2


async def post(url: str) -> int:
    """Over a connection of its own: that is how the workers share the load."""
    signed = RequestValidator(TOKEN).compute_signature(PUBLIC + STATUS, FORM)
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        return (await http.post(STATUS, data=FORM, headers={"X-Twilio-Signature": signed})).status_code


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def alone(pid: int) -> float:
    """What one worker counted by itself, from its file."""
    told = dict(one.partition("=")[::2] for one in Path(f"/proc/{pid}/environ").read_text().split("\0"))
    file = Path(told["PROMETHEUS_MULTIPROC_DIR"]) / f"counter_{pid}.db"
    if not file.exists():
        return 0
    found = MmapedDict.read_all_values_from_file(str(file))  # type: ignore[no-untyped-call]
    return sum(float(value) for key, value, *_ in found if "hilo_webhooks_total" in key)


async def counted(url: str) -> int:
    async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
        text = (await http.get("/metrics")).text
    found = re.search(r'hilo_webhooks_total\{route="/webhook/twilio/status",status="200"\} (\d+)', text)
    return int(found[1]) if found else 0


async def test_whichever_worker_is_asked_tells_the_metrics_of_both(ingress: Ingress) -> None:
    process, url = ingress
    before = await counted(url)
    assert set(await asyncio.gather(*(post(url) for _ in range(60)))) == {200}
    assert {await counted(url) - before for _ in range(10)} == {60}
    assert len([one for one in children(process.pid) if alone(one)]) == 2, "both had a share"
    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0


async def test_a_worker_that_dies_ends_the_service_with_code_1(ingress: Ingress) -> None:
    process, url = ingress
    first, second = children(process.pid)
    os.kill(first, signal.SIGKILL)
    assert await asyncio.wait_for(process.wait(), 60) == 1
    await eventually(lambda: _gone(second), "the other worker's end")
    with pytest.raises(httpx.ConnectError):
        await post(url)


async def test_workers_do_not_outlive_a_killed_parent(ingress: Ingress) -> None:
    process, _ = ingress
    workers = children(process.pid)
    process.kill()
    await process.wait()
    for worker in workers:
        await eventually(lambda pid=worker: _gone(pid), "the worker's end")  # type: ignore[misc]


async def _gone(pid: int) -> bool:
    return not alive(pid)


def alive(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


async def test_a_port_in_use_is_told_once_and_named(ingress: Ingress, kafka: KafkaSettings) -> None:
    _, url = ingress
    port = int(url.rpartition(":")[2])
    second = await start(kafka, port)
    _, errors = await asyncio.wait_for(second.communicate(), 60)
    assert (second.returncode, errors.decode()) == (
        2,
        f"ingress: INGRESS_PORT {port} is in use: stop what uses it or choose another\n",
    )
