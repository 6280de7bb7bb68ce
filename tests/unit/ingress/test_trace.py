"""The trace of a status callback is in its URL, where anybody may write anything."""

from typing import Any

import pytest

from ingress.door import Call

GOOD = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def _receive() -> Any:
    raise AssertionError("nobody reads a body here")


@pytest.mark.parametrize(
    ("query", "trace"),
    [
        (f"send=turn_1-1&attempt=1&trace={GOOD}", {"traceparent": GOOD}),
        (f"trace={GOOD[:-2]}03", {"traceparent": GOOD[:-2] + "03"}),  # sampled, and its id is random: W3C level 2
        ("send=turn_1-1&attempt=1", None),
        ("trace=", None),
        (f"trace={GOOD}0", None),
        (f"trace={GOOD.upper()}", None),
        ("trace=" + "0" * 100_000, None),
        (f"trace=%0A{GOOD}", None),
    ],
)
def test_only_what_has_the_shape_of_a_trace_is_one(query: str, trace: dict[str, str] | None) -> None:
    assert Call({"type": "http", "path": "/x", "query_string": query.encode()}, _receive).trace == trace


def test_a_request_without_a_query_has_no_trace() -> None:
    assert Call({"type": "http", "path": "/x"}, _receive).trace is None
