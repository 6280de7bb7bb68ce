"""What one connection may take: raw sockets against a server that would wait for ever."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from kit import connections
from kit.connections import HEAD_BYTES, TOO_LARGE
from kit.probes import HttpServer
from sandbox.stack.ports import free_ports

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Open = Callable[[], Awaitable[Streams]]
WHOLE = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi"


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["path"] == "/broken":
        raise RuntimeError("a secret detail")
    try:
        body = await Request(scope, receive).body()
    except ClientDisconnect:
        return
    await PlainTextResponse(body)(scope, receive, send)


@asynccontextmanager
async def serving(app: ASGIApp = echo, most: int = 100) -> AsyncIterator[Open]:
    (port,) = free_ports(1)
    server = HttpServer(app, port, "PORT", "127.0.0.1", connections=most)
    opened: list[asyncio.StreamWriter] = []

    async def connect() -> Streams:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        opened.append(writer)
        return reader, writer

    await server.start()
    yield connect
    for writer in opened:
        writer.close()
    await server.stop()


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "REQUEST_S", 0.2)


async def rest(reader: asyncio.StreamReader) -> bytes:
    """Whatever comes until the connection is over, cut or closed."""
    try:
        return await asyncio.wait_for(reader.read(), 5)
    except ConnectionResetError:
        return b""


async def answer(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"POST", id="half a method"),
        pytest.param(b"POST /x HTTP/1.1\r\nHost: x\r\n", id="half a head"),
        pytest.param(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhi", id="half a body"),
        pytest.param(
            b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n", id="a chunk too few"
        ),
        pytest.param(WHOLE + b"POST /x HTTP/1.1\r\n", id="a second request that stays a beginning"),
    ],
)
async def test_a_request_that_never_ends_is_cut(said: bytes) -> None:
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(said)
        await rest(reader)


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("said", [b"POST /x", b"\r\n"])
async def test_a_second_request_that_never_ends_is_cut_too(said: bytes) -> None:
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(WHOLE)
        await answer(reader)
        assert await reader.readexactly(2) == b"hi"
        writer.write(said)
        assert await rest(reader) == b""


@pytest.mark.usefixtures("brief")
async def test_dripping_does_not_put_it_off() -> None:
    async with serving() as connect:
        reader, writer = await connect()
        over = asyncio.create_task(rest(reader))
        for byte in b"POST /x HTTP/1.1\r\nX-Long: " + b"x" * 10_000:
            if over.done():
                break
            writer.write(bytes([byte]))
            await asyncio.wait([over], timeout=0.02)
        assert over.done()
        assert await over == b""


@pytest.mark.usefixtures("brief")
async def test_a_slow_answer_is_not_cut() -> None:
    late = asyncio.Event()
    asyncio.get_running_loop().call_later(0.5, late.set)

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        await late.wait()
        await echo(scope, receive, send)

    async with serving(slow) as connect:
        reader, writer = await connect()
        writer.write(WHOLE)
        assert (await answer(reader)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\nX-Long: " + b"x" * HEAD_BYTES + b"\r\n\r\n", id="one long header"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Many: 12345678\r\n" * 2000 + b"\r\n", id="many headers"),
        pytest.param(b"GET /" + b"x" * HEAD_BYTES + b" HTTP/1.1\r\n\r\n", id="a long path"),
        pytest.param(b"GET / HTTP/1.1\r\nX-Endless: " + b"x" * HEAD_BYTES, id="a header without an end"),
        pytest.param(
            b"POST / HTTP/1.1\r\nContent-Length: 2\r\nX: " + b"x" * HEAD_BYTES + b"\r\n\r\nhi", id="with a body"
        ),
    ],
)
async def test_a_long_head_is_refused(head: bytes) -> None:
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(head)
        assert await rest(reader) == TOO_LARGE


async def test_above_the_limit_a_new_connection_is_cut_and_the_others_go_on() -> None:
    async with serving(most=2) as connect:
        first, second, third = [await connect() for _ in range(3)]
        assert await rest(third[0]) == b""
        for reader, writer in (first, second):
            writer.write(WHOLE)
            assert (await answer(reader)).startswith(b"HTTP/1.1 200")


async def test_many_requests_on_one_connection_are_answered_in_turn() -> None:
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(WHOLE * 20)
        for _ in range(20):
            assert (await answer(reader)).startswith(b"HTTP/1.1 200")
            assert await reader.readexactly(2) == b"hi"


async def test_no_answer_tells_what_serves_it() -> None:
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(WHOLE)
        assert b"server:" not in (await answer(reader)).lower()


@pytest.mark.expects_errors
async def test_what_breaks_tells_nobody_why() -> None:
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(b"GET /broken HTTP/1.1\r\nHost: x\r\n\r\n")
        told = await rest(reader)
    assert told.startswith(b"HTTP/1.1 500")
    assert b"secret" not in told
    assert b"Traceback" not in told


@pytest.mark.parametrize(
    "said", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET / SPDY/9\r\n\r\n", b"\r\n\r\n\x00\x00"]
)
async def test_what_is_no_http_is_answered_400(said: bytes) -> None:
    async with serving() as connect:
        reader, writer = await connect()
        writer.write(said)
        assert (await rest(reader)).startswith(b"HTTP/1.1 400")


async def test_a_websocket_is_not_spoken_here() -> None:
    async with serving() as connect:
        reader, writer = await connect()
        asked = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + asked + b"\r\n")
        assert not (await answer(reader)).startswith(b"HTTP/1.1 101")
