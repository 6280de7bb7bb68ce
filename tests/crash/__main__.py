"""`make crash FOR=120 SEED=7`: kill what can be killed, and print the account."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console
from rich.table import Table

from tests.crash.plan import Plan
from tests.crash.playing import stopped, write
from tests.crash.run import CrashRun

ACCOUNT = Path(__file__).parent / "results" / "last.json"
KEYS = ("sent", "answered", "lost", "doubled", "inverted", "after_fence", "strange", "uncertain")
MORE = ("expired", "apologised", "taken_over", "undeliverable", "throttled", "refused", "turned_away")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make crash", description=__doc__)
    parser.add_argument("--for", dest="seconds", type=float, default=120, metavar="S", help="how long the storm lasts")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--contacts", type=int, default=36)
    parser.add_argument("--json", type=Path, default=ACCOUNT, metavar="FILE", help="the account; results/last.json")
    parser.add_argument("--keep", action="store_true", help="keep the logs even if all is well")
    given = parser.parse_args()
    return asyncio.run(_main(given))


async def _main(given: argparse.Namespace) -> int:
    console = Console(width=160, highlight=False)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # the broker is killed on purpose
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR)
    )  # our own outlet says so, too
    run = CrashRun(Plan(given.seed, given.seconds, given.contacts), given.seed, console.print)
    given.json.unlink(missing_ok=True)  # a run that breaks must not leave an older one's verdict
    if (code := await stopped(run, console)) is not None:
        return code
    result = _result(run, given)
    write(result, given.json)
    _print(console, run, result)
    if result["verdict"] == "ok" and not given.keep:
        run.fleet.tidy()
    return 0 if result["verdict"] == "ok" else 1


def _result(run: CrashRun, given: argparse.Namespace) -> dict[str, Any]:
    account = run.account.json()
    sound = run.account.sound and not run.troubles
    return {
        **{key: account[key] for key in KEYS},
        "kills": run.fleet.kills.total(),
        "kills_by_service": dict(sorted(run.fleet.kills.items())),
        "recovery_p50_s": account["recovery_p50_s"],
        "recovery_p99_s": account["recovery_p99_s"],
        "verdict": "ok" if sound else "failed",
        **{key: account[key] for key in MORE},
        "troubles": run.troubles,
        "details": account["details"],
        "seed": given.seed,
        "seconds": given.seconds,
    }


def _print(console: Console, run: CrashRun, result: dict[str, Any]) -> None:
    table = Table(box=None, show_header=False)
    for key in (*KEYS, *MORE):
        table.add_row(key.replace("_", " "), str(result[key]))
    table.add_row("kills", ", ".join(f"{name} {count}" for name, count in result["kills_by_service"].items()))
    table.add_row("recovery p50 / p99", f"{result['recovery_p50_s']:g} / {result['recovery_p99_s']:g} s")
    console.print(table)
    for line in (*result["details"], *run.troubles):
        console.print(f"  {line}", markup=False)
    if result["verdict"] == "ok":
        console.print(f"[green]Nothing lost, doubled or out of order: {result['answered']} of {result['sent']}[/green]")
    else:
        console.print(f"[red]FAILED[/red] (seed {result['seed']}); logs: {run.fleet.folder}/logs")


if __name__ == "__main__":
    sys.exit(main())
