"""The pool on a real socket: did the request go out, and what the library below must never do for us."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from kit.errors import NoAnswer, StoreDown
from kit.http import PooledClient

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Server:
    """Counts the requests it was sent, and behaves as it is told."""

    def __init__(self, behaviour: "Callable[[Server], Behaviour]") -> None:
        self.requests: list[bytes] = []
        self.connections = 0
        self._behaviour = behaviour(self)
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._behaviour(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async def request(self, reader: asyncio.StreamReader) -> bytes:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next((int(one[15:]) for one in head.split(b"\r\n") if one.lower().startswith(b"content-length:")), 0)
        self.requests.append(head + await reader.readexactly(length))
        return self.requests[-1]


@asynccontextmanager
async def running(behaviour: Callable[[Server], Behaviour]) -> AsyncIterator[Server]:
    server = Server(behaviour)
    listener = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/x"
    try:
        yield server
    finally:
        listener.close()


@pytest.fixture
async def http() -> AsyncIterator[PooledClient]:
    client = PooledClient(concurrency=2, connect_s=0.2, total_s=0.4)
    yield client
    await client.stop()


def answers(*chunks: bytes, times: int = 1, pause: float = 0.0) -> Callable[[Server], Behaviour]:
    def behaviour(server: Server) -> Behaviour:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for _ in range(times):
                await server.request(reader)
                for chunk in chunks:
                    writer.write(chunk)
                    await writer.drain()
                    await asyncio.sleep(pause)

        return serve

    return behaviour


def silent(_: Server) -> Behaviour:
    async def serve(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    return serve


async def failure(http: PooledClient, method: str, url: str) -> NoAnswer:
    with pytest.raises(NoAnswer) as caught:
        await http.request(method, url, data={"Body": "x"} if method == "POST" else None)
    return caught.value


# Did it go out?


def nobody() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize("url", ["http://{}/x", "https://{}/x", "http://no.such.host.invalid/x", "gopher://{}/x"])
async def test_without_a_connection_nothing_went_out(http: PooledClient, url: str) -> None:
    assert not (await failure(http, "POST", url.format(nobody()))).sent


async def test_a_tls_that_never_begins_is_a_connection_that_never_was(http: PooledClient) -> None:
    async with running(silent) as server:
        assert not (await failure(http, "POST", server.url.replace("http:", "https:"))).sent


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(silent, id="no answer in time"),
        pytest.param(answers(), id="closed without an answer"),
        pytest.param(answers(b"nonsense\r\n\r\n"), id="no HTTP"),
        pytest.param(answers(OK[:-1]), id="cut"),
        pytest.param(answers(*(OK[n : n + 1] for n in range(len(OK))), pause=0.02), id="dripping"),
        pytest.param(answers(OK.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")), id="no gzip"),
    ],
)
async def test_a_request_that_went_out_may_have_arrived(
    http: PooledClient, behaviour: Callable[[Server], Behaviour]
) -> None:
    async with running(behaviour) as server:
        began = asyncio.get_running_loop().time()
        assert (await failure(http, "POST", server.url)).sent
        assert asyncio.get_running_loop().time() - began < 0.8


async def test_who_waits_for_a_permit_is_not_timed(http: PooledClient) -> None:
    async with running(answers(OK[:9], OK[9:], times=6, pause=0.15)) as server:
        found = await asyncio.gather(*(http.request("POST", server.url, data={}) for _ in range(6)))
    assert [one.status for one in found] == [200] * 6


# Right before the first byte


async def test_before_runs_on_the_connection_and_before_any_byte(http: PooledClient) -> None:
    """Canary for aiohttp: `on_request_headers_sent` runs before it writes. If not, kit/http has to change."""
    async with running(answers(OK, times=2)) as server:
        seen: list[tuple[int, int]] = []

        async def before() -> None:
            await asyncio.sleep(0.05)
            seen.append((server.connections, len(server.requests)))

        for _ in range(2):
            assert (await http.request("POST", server.url, data={"a": "b"}, before=before)).json() == {}
    assert seen == [(1, 0), (1, 1)]


async def test_what_before_raises_comes_out_and_nothing_was_sent(http: PooledClient) -> None:
    async def before() -> None:
        raise StoreDown("away")

    async with running(answers(OK)) as server:
        with pytest.raises(StoreDown):
            await http.request("POST", server.url, data={"a": "b"}, before=before)
        await asyncio.sleep(0.01)
        assert (server.connections, server.requests) == (1, [])
        assert (await http.request("POST", server.url, data={})).ok


async def test_the_time_that_before_takes_counts(http: PooledClient) -> None:
    async def before() -> None:
        await asyncio.sleep(5)

    async with running(answers(OK)) as server:
        with pytest.raises(NoAnswer) as caught:
            await http.request("POST", server.url, data={}, before=before)
        assert (caught.value.sent, server.requests) == (False, [])


# What the library below must not do


def dropped(server: Server) -> Behaviour:
    """Answers the first request of a connection, and closes it when it has read the second."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await server.request(reader)
        writer.write(OK)
        await server.request(reader)

    return serve


@pytest.mark.parametrize(("method", "requests"), [("POST", 2), ("GET", 3)])
async def test_a_dropped_connection_repeats_no_post(http: PooledClient, method: str, requests: int) -> None:
    """A GET is repeated by aiohttp, on a new connection."""
    async with running(dropped) as server:
        assert (await http.request(method, server.url)).ok
        if method == "POST":
            assert (await failure(http, method, server.url)).sent
        else:
            assert (await http.request(method, server.url)).ok
        assert len(server.requests) == requests


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 429, 500, 503])
async def test_no_answer_is_followed_or_repeated(http: PooledClient, status: int) -> None:
    head = f"HTTP/1.1 {status} Some\r\nLocation: /y\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n".encode()
    async with running(answers(head)) as server:
        found = await http.request("POST", server.url, data={"a": "b"})
        assert (found.status, found.ok, found.headers["retry-after"]) == (status, False, "0")
        assert len(server.requests) == 1


async def test_no_cookie_is_kept(http: PooledClient) -> None:
    async with running(answers(OK.replace(b"\r\n\r\n", b"\r\nSet-Cookie: a=b; Path=/\r\n\r\n"), times=2)) as server:
        for _ in range(2):
            await http.request("GET", server.url.replace("127.0.0.1", "localhost"))
        assert b"cookie" not in b"".join(server.requests).lower()


async def test_no_proxy_of_the_environment_is_asked(http: PooledClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{nobody()}")
    async with running(answers(OK)) as server:
        assert (await http.request("GET", server.url)).ok


async def test_what_is_on_the_wire(http: PooledClient) -> None:
    async with running(answers(OK, times=2)) as server:
        await http.request("POST", server.url, data={"To": "whatsapp:+34", "Body": "ñ & 👍\n"}, auth=("AC1", "t:k"))
        await http.request("GET", f"{server.url}/a%2Fb", params={"To": "whatsapp:+34"}, headers={"x-key": "k"})
    post, get = (one.decode() for one in server.requests)
    assert post.startswith("POST /x HTTP/1.1\r\n")
    assert "Authorization: Basic QUMxOnQ6aw==\r\n" in post
    assert "Content-Type: application/x-www-form-urlencoded\r\n" in post
    assert post.endswith("\r\n\r\nTo=whatsapp%3A%2B34&Body=%C3%B1+%26+%F0%9F%91%8D%0A")
    assert get.startswith("GET /x/a%2Fb?To=whatsapp%3A%2B34 HTTP/1.1\r\n")
    assert "x-key: k\r\n" in get
