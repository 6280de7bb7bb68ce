"""Answers no decent server gives, and servers that give none."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sandbox.twilio import TwilioSimulator
from sandbox.twilio.wire import encode_form
from tests.contracts.sandbox_twilio.sdk import USER


@asynccontextmanager
async def raw_server(*answers: bytes | None) -> AsyncIterator[str]:
    """One answer per connection, then it is closed; None keeps the caller waiting."""
    left = list(answers)
    over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        answer = left.pop(0)
        if answer is None:
            await over.wait()
        else:
            writer.write(answer)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/in"
    over.set()
    server.close()
    await server.wait_closed()


OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"


@pytest.mark.parametrize(
    ("answer", "error", "complaint"),
    [
        (OK + b"Content-Length: 11\r\n\r\n<Response/>", None, None),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\n<Resp\r\n6\r\nonse/>\r\n0\r\n\r\n", None, None),
        (OK + b"Connection: close\r\n\r\n<Response/>", None, None),
        (b"HTTP/1.1 204 No Content\r\n\r\n", None, None),
        (OK + b"Content-Length: 99\r\n\r\n<Response/>", "rt", 11205),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "rt", 11205),
        (b"", "rt", 11205),
    ],
)
async def test_answers_on_the_wire(
    sim: TwilioSimulator, answer: bytes, error: str | None, complaint: int | None
) -> None:
    async with raw_server(answer) as url:
        sim.configure(inbound_url=url)
        received = await sim.inbound(USER, "hola")
        assert received.answer
        assert (received.answer.error, received.answer.complaint) == (error, complaint)


async def test_read_timeout_is_retried_only_if_asked(sim: TwilioSimulator) -> None:
    async with raw_server(None, None, OK + b"Content-Length: 11\r\n\r\n<Response/>") as url:
        sim.configure(inbound_url=f"{url}#rt=100")
        assert not (await sim.inbound(USER, "lost")).accepted
        sim.configure(inbound_url=f"{url}#rt=100&rc=1&rp=rt")
        assert (await sim.inbound(USER, "kept")).accepted
        assert [delivery.error for delivery in sim.deliveries] == ["rt", "rt", None]


async def test_total_time_bounds_all_attempts(sim: TwilioSimulator) -> None:
    async with raw_server(None, None, None, None, None, None) as url:
        sim.configure(inbound_url=f"{url}#rt=100&tt=150&rc=5&rp=rt")
        assert not (await sim.inbound(USER, "lost")).accepted
        assert len(sim.deliveries) == 2


def test_forms_are_encoded_as_browsers_do() -> None:
    assert encode_form({"A": "a b&c", "B": "", "C": "é+", "D": "SM1"}) == b"A=a+b%26c&B=&C=%C3%A9%2B&D=SM1"
