"""`hilo stats`: how far each group is behind."""

import asyncio
from dataclasses import asdict
from typing import Any

import typer

from kit.errors import Misconfigured
from kit.kafka.broker import prefixed
from kit.kafka.lag import lags
from kit.kafka.reading import missing
from kit.settings import load
from ops.output import JSON, document, runs, table
from ops.settings import OpsSettings
from schemas.topics import TOPICS

__all__ = ["stats"]

COLUMNS = ["topic", "group", "records", "completed", "waiting"]


WATCH = typer.Option(0, min=0, help="Show again every so many seconds.")


@runs
async def stats(as_json: bool = JSON, watch: float = WATCH) -> None:
    """Per topic: records kept, completed by our group, waiting."""
    settings = load(OpsSettings)
    while True:
        rows: list[dict[str, Any]] = [asdict(one) | {"group": one.group or "-"} for one in await lags(settings)]
        if as_json:
            document(rows)
        else:
            table(COLUMNS, rows)
        there = {one["topic"] for one in rows}
        if absent := [prefixed(settings, one.name) for one in TOPICS if one.name not in there]:
            raise Misconfigured([missing(absent)])
        if not watch:
            return
        await asyncio.sleep(watch)
