"""The seal: what a planted fault would like to do from inside the child, and that none of it is possible."""

import ast
import asyncio
import os
import pty
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import typer

from kit.service import Tools
from ops.replaying import child, sealed
from ops.replaying.child import ChildFailed, sealed_child
from ops.replaying.sealed import Showing, lines, replayed, told
from schemas.replay import Result
from tests.unit.ops.past import SETUP, Past
from tests.unit.processor.states import CONTACT, message

SEALED = Path(__file__).parents[3] / "processor" / "sealed"
PLANTED = """
import asyncio, ctypes, os, runpy, shutil, signal, socket, subprocess, sys, syslog, tempfile, urllib.request
from multiprocessing import util
from processor.agent.client import Answer
from processor.sealed import recorded

def connected(address, family=socket.AF_INET):
    socket.socket(family, socket.SOCK_STREAM).connect(address)

async def dialled():
    await asyncio.open_connection("127.0.0.1", PORT)

HERE = os.getcwd()
EFFECTS = {
    "connect": lambda: connected(("127.0.0.1", PORT)),
    "unix": lambda: connected("/tmp/x", socket.AF_UNIX),
    "datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", PORT)),
    "bind": lambda: socket.socketpair()[0].bind("/tmp/x"),
    "look up": lambda: socket.getaddrinfo("localhost", PORT),
    "http": lambda: urllib.request.urlopen("http://127.0.0.1:%d" % PORT),
    "popen": lambda: subprocess.run(["true"]),
    "system": lambda: os.system("true"),
    "fork": os.fork,
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "spawn": lambda: os.posix_spawn("/bin/true", ["true"], {}),
    "write": lambda: open(HERE + "/planted", "w"),
    "append": lambda: os.open(HERE + "/planted", os.O_WRONLY | os.O_CREAT),
    "temporary": lambda: tempfile.NamedTemporaryFile(dir=HERE),
    "remove": lambda: os.remove(SECRETS),
    "rename": lambda: os.rename(SECRETS, SECRETS + "x"),
    "make": lambda: os.mkdir(HERE + "/made"),
    "settings": lambda: open(SECRETS),
    "environment of the parent": lambda: open("/proc/%d/environ" % os.getppid()),
    "native": lambda: ctypes.CDLL(None),
    "kill": lambda: os.kill(os.getppid(), 0),
    "kill by pidfd": lambda: signal.pidfd_send_signal(os.pidfd_open(os.getppid()), 0),
    "pipe": lambda: os.mkfifo(HERE + "/planted"),
    "node": lambda: os.mknod(HERE + "/planted"),
    "syslog": lambda: syslog.syslog("planted"),
    "process without subprocess": lambda: util.spawnv_passfds(b"/bin/true", [b"/bin/true"], []),
}

async def planted(self, question):
    done = []
    for name, effect in EFFECTS.items():
        try:
            effect()
        except PermissionError:
            continue
        except Exception as error:
            name += " " + repr(error)
        done.append(name)
    try:
        await dialled()
        done.append("dialled")
    except PermissionError:
        pass
    return Answer(["did: " + ", ".join(done), "environment: " + ", ".join(os.environ), "folder: " + str(os.listdir())])

recorded.RecordedAgent.ask = planted
runpy.run_module("processor.sealed", run_name="__main__")
"""


@pytest.fixture
async def past(tools: Tools) -> Past:
    past = Past(tools)
    await past.wrote(("SM1", message("hola", received_at=past.clock.now())))
    return past


async def results(past: Past) -> list[Result]:
    tale = await past.tale()
    async with sealed_child() as process, aclosing(process.results(SETUP, lines(tale.stories))) as found:
        return [one async for one in found]


async def test_nothing_planted_has_an_effect(past: Past, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    connections: list[Any] = []
    server = await asyncio.start_server(lambda *each: connections.append(each), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    secrets = tmp_path / ".env"
    secrets.write_text("TWILIO_AUTH_TOKEN=s3cret")
    monkeypatch.setenv("KAFKA_SASL_PASSWORD", "s3cret")
    program = f"PORT = {port}; SECRETS = {str(secrets)!r}\n{PLANTED}"
    monkeypatch.setattr(child, "COMMAND", ("-I", "-B", "-X", "utf8", "-c", program))
    (result,) = await results(past)
    server.close()
    assert result.now
    did, environment, folder = result.now.parts
    assert did == "did:"
    assert set(environment.removeprefix("environment:").replace(",", " ").split()) <= {"LC_CTYPE"}
    assert folder == "folder: []"
    assert (connections, secrets.exists()) == ([], True)


async def test_a_child_that_is_not_sealed_would_do_it_all(
    past: Past, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that the test above is one: without the seal these effects happen."""
    secrets = tmp_path / ".env"
    secrets.write_text("x")
    harmful = ("fork", "exec", "kill", "remove", "rename", "bind", "unix", "connect", "http", "system", "spawn")
    program = PLANTED.replace(
        "async def planted(self, question):",
        f"for name in {harmful!r}: del EFFECTS[name]\nfrom processor.sealed import sealing\n"
        "sealing.seal = lambda ways=(): False\nasync def dialled():\n    raise PermissionError\n"
        "async def planted(self, question):",
    )
    program = f"PORT = 9; SECRETS = {str(secrets)!r}\n{program}"
    monkeypatch.setattr(child, "COMMAND", ("-I", "-B", "-X", "utf8", "-c", program))
    (result,) = await results(past)
    assert result.now
    assert {"popen", "write", "append", "temporary", "make", "settings", "native", "look up", "datagram"} <= set(
        result.now.parts[0].removeprefix("did: ").split(", ")
    )


async def test_the_same_input_has_the_same_hash(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many children tell it."""
    for number in range(2, 12):
        who = f"+3460011122{number % 3}"
        await past.wrote((f"SM{number}", message(f"hola {number}", message_sid=f"SM{number}")), contact=who)
    first = await replayed(SETUP, await past.tale(None), Showing(as_json=True))
    assert (first.account.counts, first.sealed in {"no network", "no way out"}) == ({"same": 11}, True)
    monkeypatch.setattr(sealed, "WORTH_A_CHILD", 5)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    second = await replayed(SETUP, await past.tale(None), Showing(as_json=True))
    assert (second.digest, second.results) == (first.digest, first.results)
    await past.wrote(("SM12", message("otra", message_sid="SM12")))
    assert (await replayed(SETUP, await past.tale(None), Showing(as_json=True))).digest != first.digest


async def test_step_stops_at_each_turn(
    past: Past, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2, 6):
        await past.wrote((f"SM{number}", message(f"hola {number}", message_sid=f"SM{number}")))
    tale, showing = await past.tale(), Showing(step=True)
    with pytest.raises(typer.Exit):
        showing.require_possible()
    assert "needs a terminal" in capsys.readouterr().err
    keyboard, terminal = pty.openpty()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        os.write(keyboard, b"\nq\n")
        told(await replayed(SETUP, tale, showing), tale, showing)
    os.close(keyboard)
    out = capsys.readouterr().out
    assert [line.split()[:2] for line in out.splitlines()[1:3]] == [["turn", "1"], ["turn", "2"]]
    assert ("stopped after 2 of 5" in out, "hash" in out, CONTACT in out) == (True, False, False)


async def test_a_child_that_ends_early_says_why(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "COMMAND", ("-I", "-c", "import nothing_of_this_name"))
    with pytest.raises(ChildFailed, match="No module named"):
        await results(past)


KERNEL = """
import os, resource, socket
from processor.sealed.sealing import _without_network
print(_without_network())
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
try:
    socket.create_connection(("127.0.0.1", PORT), 2)
    print("connected")
except OSError:
    print("no way")
with open("planted", "wb", buffering=0) as file:
    try:
        file.write(b"x")
        print("written")
    except OSError:
        print("too large")
"""


async def test_the_kernel_has_a_wall_of_its_own(tmp_path: Path) -> None:
    """Without Python's hook."""
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    program = KERNEL.replace("PORT", str(server.sockets[0].getsockname()[1]))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-B", "-c", program, env={}, cwd=tmp_path, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    server.close()
    alone, network, file = out.decode().splitlines()
    assert (network, file) == ("no way" if alone == "True" else "connected", "too large")


def test_nothing_of_the_sealed_package_builds_a_client() -> None:
    """Its imports may know them by name, as types; only the agent that is really asked has one."""
    clients = {"Outlet", "Mongo", "PooledClient", "Twilio", "ElevenLabsAgent", "Presence", "load", "AIOKafkaProducer"}
    built = {
        (path.name, node.func.id)
        for path in SEALED.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in clients
    }
    assert built == {("asking.py", "PooledClient"), ("asking.py", "ElevenLabsAgent")}
