"""`hilo topics create` and `check`."""

from collections.abc import Sequence
from dataclasses import asdict

import typer

from kit.kafka import topics
from kit.kafka.topics import Finding
from kit.settings import load
from ops.output import JSON, document, runs, table
from ops.settings import OpsSettings

__all__ = ["app", "report"]

app = typer.Typer(help="Provision and verify the topic table.", no_args_is_help=True)


@app.command()
@runs
async def create(
    partitions: int = typer.Option(
        0, min=0, help="Another partition count than the table's, for a small installation."
    ),
    as_json: bool = JSON,
) -> None:
    """Create the topics that are missing; existing ones are checked and left as they are."""
    report(await topics.create(load(OpsSettings), partitions or None), as_json=as_json)


@app.command()
@runs
async def check(as_json: bool = JSON) -> None:
    """Compare the cluster with the topic table; exit code 1 if a topic is missing."""
    report(await topics.check(load(OpsSettings)), as_json=as_json)


def report(findings: Sequence[Finding], *, as_json: bool) -> None:
    """Print findings; exit code 1 if one of them is a failure."""
    rows = [asdict(one) for one in findings]
    if as_json:
        document(rows)
    else:
        table(["state", "subject", "detail", "remedy"], rows)
    if any(one.state == "fail" for one in findings):
        raise typer.Exit(1)
