"""`hilo stats`: how far each group is behind."""

import asyncio
from dataclasses import asdict
from typing import Any

import typer

from kit.kafka.lag import lags
from kit.settings import load
from ops.output import JSON, document, runs, table
from ops.settings import OpsSettings

__all__ = ["stats"]

COLUMNS = ["topic", "group", "records", "completed", "waiting"]


@runs
async def stats(as_json: bool = JSON, watch: float = typer.Option(0, help="Show again every so many seconds.")) -> None:
    """Per topic: records kept, completed by our group, waiting."""
    settings = load(OpsSettings)
    while True:
        rows: list[dict[str, Any]] = [asdict(one) | {"group": one.group or "-"} for one in await lags(settings)]
        if as_json:
            document(rows)
        else:
            table(COLUMNS, rows)
        if not watch:
            return
        await asyncio.sleep(watch)
