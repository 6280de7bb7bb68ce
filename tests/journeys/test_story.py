"""The product's story, end to end: the commands a person types, watched from outside."""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from sandbox.layout import Layout
from sandbox.stack.ports import port_taken
from tests.conftest import TELLTALE
from tests.running import eventually

pytestmark = [pytest.mark.journey, pytest.mark.timeout(180)]
HILO = str(Path(sys.executable).with_name("hilo"))
Process = asyncio.subprocess.Process


async def hilo(*arguments: str, **environment: str) -> Process:
    return await asyncio.create_subprocess_exec(
        HILO, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env={**os.environ, **environment},
    )  # fmt: skip


async def output(*arguments: str, **environment: str) -> tuple[int | None, str]:
    process = await hilo(*arguments, **environment)
    out, _ = await process.communicate()
    return process.returncode, out.decode()


@asynccontextmanager
async def sandbox(state: Path, *more: str) -> AsyncIterator[tuple[Process, Layout]]:
    process = await hilo("sandbox", "--any-ports", "--state", str(state), *more)

    async def up() -> bool:
        if process.returncode is not None:
            assert process.stdout
            pytest.fail((await process.stdout.read()).decode())
        return Layout.read(state) is not None

    try:
        await eventually(up, "the sandbox is ready", within=90)
        layout = Layout.read(state)
        assert layout
        yield process, layout
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def listening(layout: Layout) -> list[str]:
    return [name for name, port in vars(layout.ports).items() if port_taken(port)]


def pid_of(part: str, sandbox: int) -> int:
    """The process of a service, among the children of a sandbox."""
    for entry in Path("/proc").iterdir():
        with suppress(OSError):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == sandbox and f"-m\0{part}\0" in (entry / "cmdline").read_text():
                return int(entry.name)
    raise LookupError(part)


async def test_the_demo_is_seen_from_outside_and_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    async with sandbox(tmp_path / "state.json") as (process, layout):
        for _ in range(2):  # a second client, after the clock has been moved on
            story = await hilo("demo", "--json", "--state", str(tmp_path / "state.json"))
            out, _ = await story.communicate()
            told = json.loads(out)
            assert (story.returncode, told["complete"]) == (0, True), told
            assert all(step["seen"] for step in told["steps"])
        await _operators(layout)
        await _close(layout)
        _logs_are_fit_to_be_read(layout)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 0
        assert time.monotonic() - began < 15
        assert listening(layout) == []
        assert not Path(layout.data).exists()  # noqa: ASYNC240


def _logs_are_fit_to_be_read(layout: Layout) -> None:
    """No line that any service wrote shows a phone number or a secret."""
    for service in ("ingress", "processor", "sender", "janitor", "console"):
        written = (Path(layout.data) / "logs" / f"{service}.log").read_text()
        assert '"event": "ready"' in written
        shown = [line for line in written.splitlines() if TELLTALE.search(line)]
        assert shown == []
        assert not any(secret in written for secret in (layout.auth_token, layout.api_token, layout.console_token))


async def _operators(layout: Layout) -> None:
    """The operator's commands against what the demo left, in a shell that was told where the sandbox is."""
    assert layout.env_file.stat().st_mode & 0o077 == 0, "there are tokens in it"
    for command, expected in (
        (("topics", "check"), "contact.log"),
        (("doctor",), "agent agent_sandbox is there"),
        (("stats", "--json"), '"group": "processor"'),
        (("config", "--json"), str(layout.clock_file)),
    ):
        shell = ("sh", "-c", '. "$0" && exec "$@"', str(layout.env_file), HILO, *command)
        process = await asyncio.create_subprocess_exec(*shell, stdout=asyncio.subprocess.PIPE)
        out = (await process.communicate())[0].decode()
        assert (process.returncode, expected in out) == (0, True), out


async def _close(layout: Layout) -> None:
    """A client writes first; an operator closes that conversation, once."""
    environment, client = layout.environment("ops"), "+34600111222"
    async with httpx.AsyncClient(trust_env=False, timeout=30) as http:
        inbound = {"from": client, "body": "Hola"}
        (await http.post(f"{layout.url('twilio_control')}/_sim/inbound", json=inbound)).raise_for_status()

    async def answered() -> bool:
        code, out = await output("conversation", client, "--json", **environment)
        return code == 0 and json.loads(out)["message_count"] == 2

    await eventually(answered, "the answer is stored")
    shown = (await output("conversation", client, **environment))[1]
    assert client not in shown
    assert client in (await output("conversation", client, "--reveal", **environment))[1]
    assert (await output("close", client, **environment))[0] == 0
    code, out = await output("close", client, **environment)
    assert (code, "closed already" in out) == (1, True)


async def test_a_service_that_dies_is_started_again_and_sigterm_stops_it_all(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    async with sandbox(state) as (process, layout):
        os.kill(pid_of("sender", process.pid), signal.SIGKILL)
        story = await hilo("demo", "--json", "--state", str(state))
        out, _ = await story.communicate()
        assert story.returncode == 0, out.decode()
        process.terminate()
        assert await process.wait() == 0
        assert listening(layout) == []


async def test_a_sandbox_killed_outright_leaves_no_process(tmp_path: Path) -> None:
    async with sandbox(tmp_path / "state.json") as (process, layout):
        process.kill()
        await process.wait()

        async def gone() -> bool:
            return listening(layout) == []

        await eventually(gone, "every port free")


async def test_a_port_in_use_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    process = await hilo("sandbox", "--infra-only", "--kafka-port", str(port), "--mongo-port", "0")
    out, _ = await process.communicate()
    server.close()
    await server.wait_closed()
    assert process.returncode == 2, out.decode()
    assert str(port) in out.decode()
    assert "Traceback" not in out.decode()
