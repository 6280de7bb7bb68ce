"""`hilo`. A service starts without what only commands need; everything else is in `ops/cli.py`."""

import gc
import sys
from importlib.metadata import entry_points

__all__ = ["main"]


def main() -> None:
    found = [one for one in entry_points(group="hilo.services") if sys.argv[1:] == [one.name]]
    if found:
        gc.disable()  # loading makes much and drops little; the service turns it on again when all is there
        sys.exit(found[0].load()())
    try:
        from ops.cli import main as command
    except KeyboardInterrupt:  # loading takes a second, and somebody may think better of it
        sys.exit(130)
    command()
