"""`make soak FOR=3600 RATE=12`: every service under a steady load; does anything grow?"""

import argparse
import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.crash.playing import stopped, write
from tests.soak.soak import SAMPLE_S, Soak

ACCOUNT = Path(__file__).parent / "results" / "last.json"
MOST = Path(__file__).parents[1] / "bench" / "results" / "path_end_to_end.json"
SHARE = 0.5  # of the most this machine was seen to do
LEAST_S = 6 * SAMPLE_S


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--for", dest="seconds", type=float, default=3600, metavar="S")
    parser.add_argument("--rate", type=float, help="messages/s; half of what `path_end_to_end` measured without it")
    parser.add_argument("--json", type=Path, default=ACCOUNT, metavar="FILE", help="the account; results/last.json")
    parser.add_argument("--keep", action="store_true", help="keep the logs even if all is well")
    given = parser.parse_args()
    if given.seconds < LEAST_S:
        parser.error(f"--for {given.seconds:g} is too short to see a trend: {LEAST_S:g} s at least")
    return asyncio.run(_main(given))


async def _main(given: argparse.Namespace) -> int:
    console = Console(width=160, highlight=False)
    rate = given.rate or SHARE * float(json.loads(MOST.read_text())["ours"])
    console.print(f"{rate:g} messages/s for {given.seconds:g} s")
    soak = Soak(rate, given.seconds, console.print)
    given.json.unlink(missing_ok=True)  # a run that breaks must not leave an older one's verdict
    if (code := await stopped(soak, console)) is not None:
        return code
    told = soak.told()
    write(told, given.json)
    _print(console, soak, told)
    if not soak.problems and not given.keep:
        soak.fleet.tidy()
    return 1 if soak.problems else 0


def _print(console: Console, soak: Soak, told: dict[str, Any]) -> None:
    table = Table("process", "what", "first", "last", "gain", "allowed", "", box=None)
    for name, found in soak.trends.items():
        for what, one in found.items():
            judged = ("flat" if one.flat else "[red]grows[/red]") if name in told["judged"] else "not judged"
            table.add_row(name, what, f"{one.first:g}", f"{one.last:g}", f"{one.gain:+g}", f"{one.allowed:g}", judged)
    console.print(table)
    console.print(f"{told['answered']} of {told['written']} answered, highest lag {told['highest_lag']}")
    for problem in soak.problems:
        console.print(f"  {problem}", markup=False)
    if soak.problems:
        console.print(f"[red]FAILED[/red]; logs: {soak.fleet.folder}/logs")
    else:
        console.print("[green]Nothing grew, nothing was left: lag 0, every message answered[/green]")


if __name__ == "__main__":
    sys.exit(main())
