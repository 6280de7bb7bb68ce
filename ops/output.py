"""How commands speak: a table for people, one JSON document for programs, one sentence for what went wrong."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from kit.errors import HiloError, Misconfigured
from schemas.contact import UnusableAddress

__all__ = ["JSON", "REVEAL", "confirm", "document", "fail", "runs", "show", "table"]

P = ParamSpec("P")
PIPE_WIDTH = 200  # columns, where nobody's terminal tells
JSON = typer.Option(False, "--json", help="One JSON document instead of text.")
REVEAL = typer.Option(False, "--reveal", help="Show phone numbers in full.")


def runs(command: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async command; what is wrong becomes one sentence and exit code 1, or 2 for a setting."""

    @wraps(command)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            asyncio.run(command(*args, **kwargs))
        except Misconfigured as error:
            for fault in error.faults:
                print(fault, file=sys.stderr)
            raise typer.Exit(2) from None
        except (HiloError, UnusableAddress) as error:
            fail(str(error))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None

    return wrapper


def fail(sentence: str, code: int = 1) -> None:
    print(sentence, file=sys.stderr)
    raise typer.Exit(code)


def confirm(question: str) -> None:
    """Go on only after a yes; without anybody to ask that is a no."""
    try:
        agreed = typer.confirm(question, err=True)
    except typer.Abort:
        agreed = False
        print(file=sys.stderr)
    if not agreed:
        fail("nothing was done")


def document(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    shown = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        shown.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        shown.add_row(*(Text(str(row.get(column, ""))) for column in columns))  # never markup: it may be a client's
    show(shown)


def show(shown: RenderableType) -> None:
    Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False).print(shown)
