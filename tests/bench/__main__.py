"""`make bench`, or `make bench BENCH=name`."""

import argparse
import importlib
import pkgutil
import sys

import uvloop
from rich.console import Console
from rich.table import Table

import tests.bench
from kit.service import calm_collector
from tests.bench.harness import BENCHES, record


def main() -> int:
    for module in pkgutil.iter_modules(tests.bench.__path__):
        if module.name.startswith("bench_"):
            importlib.import_module(f"tests.bench.{module.name}")
    parser = argparse.ArgumentParser(prog="make bench BENCH=…", description=__doc__)
    parser.add_argument("name", nargs="?", choices=sorted(BENCHES), help="one of them; without it all run")
    given = parser.parse_args()
    table = Table("name", "ours", "other", "ratio", "unit", "the other is", box=None)
    calm_collector()  # as every service does
    for name in [given.name] if given.name else sorted(BENCHES):
        result = record(name, uvloop.run(BENCHES[name]()))  # type: ignore[arg-type]  # a coroutine each
        table.add_row(name, f"{result.ours:g}", f"{result.other:g}", f"{result.ratio:g}", result.unit, result.other_is)
    Console(width=200).print(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
