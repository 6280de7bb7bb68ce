"""Every question has its own answer: a loss and a double do not balance, and an apology is none."""

from collections.abc import Sequence

import httpx
import pytest

from sandbox.layout import Layout
from tests.soak.load import Load

ASKED = ["¿A qué hora abren el día 5 de la semana 0?", "¿A qué hora abren el día 5 de la semana 1?"]
SORRY = "Disculpa, tuve un problema procesando tu mensaje."
CASES = {
    "all answered": ([*ASKED], 0, 0),
    "both answered in one bubble": (["\n".join(ASKED)], 0, 0),
    "one lost": (ASKED[:1], 1, 0),
    "one lost, the other twice": ([ASKED[0]] * 2, 1, 1),
    "one apologised for": ([ASKED[0], SORRY], 1, 1),
    "one twice": ([*ASKED, ASKED[1]], 0, 1),
}


@pytest.mark.parametrize("case", CASES)
async def test_answers_are_matched_to_questions(case: str) -> None:
    answers, unanswered, unasked = CASES[case]
    messages = [_message(n, "inbound", "from", body) for n, body in enumerate(ASKED, 1)]
    messages += [_message(n, "outbound-api", "to", body) for n, body in enumerate(answers, 10)]
    async with _simulator(messages) as http:
        load = Load(Layout("/nowhere"), http, 12)
        await load.look()
    assert (load.unanswered, load.unasked) == (unanswered, unasked)


def _message(n: int, direction: str, who: str, body: str) -> dict[str, object]:
    return {"n": n, "direction": direction, who: "whatsapp:+34670000001", "body": body}


def _simulator(messages: Sequence[dict[str, object]]) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.MockTransport(lambda _: httpx.Response(200, json={"messages": list(messages)}))
    )
