"""Deliberate bugs, each as texts of the lanes' source and what takes their place."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import ModuleType

import kit.lanes

__all__ = ["MUTANTS", "Change", "copy_with"]

SOURCE = Path(kit.lanes.__file__).parent
_numbers = count()


@dataclass(frozen=True)
class Change:
    file: str
    old: str
    new: str


def _one(file: str, old: str, new: str) -> tuple[Change, ...]:
    return (Change(file, old, new),)


@contextmanager
def copy_with(changes: tuple[Change, ...], folder: Path) -> Iterator[ModuleType]:
    """A private copy of the package, changed. Fails loudly when a text is not there, or more than once."""
    name = f"lanes_copy_{next(_numbers)}"
    (folder / name).mkdir()
    for path in SOURCE.glob("*.py"):
        text = path.read_text()
        for change in changes:
            if change.file == path.stem:
                assert text.count(change.old) == 1, f"{text.count(change.old)} times in {path.name}: {change.old!r}"
                text = text.replace(change.old, change.new)
        (folder / name / path.name).write_text(text.replace("kit.lanes", name))
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        for module in [one for one in sys.modules if one.partition(".")[0] == name]:
            del sys.modules[module]


MUTANTS: dict[str, tuple[Change, ...]] = {
    # ── marks and counters ───────────────────────────────────────────────────────────────────────────────────────────
    "the highest seen is committed": _one(
        "ledger", "Mark(self.window[0].offset if self.window else self.next_offset)", "Mark(self.next_offset)"
    ),
    "the mark is one too far": _one("ledger", "Mark(self.window[0].offset if", "Mark(self.window[0].offset + 1 if"),
    "the window is popped whatever is done": _one(
        "ledger", "while self.window and self.window[0].done:", "if self.window:"
    ),
    "a mark of a log that is gone is taken": _one(
        "executor", "ledger is None or own is None or mark.offset > own.offset:", "ledger is None:"
    ),
    "a counter leaks on close": _one(
        "executor", "        if not ledger.frozen:\n            self.buffered -= ledger.unfinished\n", ""
    ),
    "a permit is given back inside the task": (
        Change("executor", "        ledger.running.discard(task)\n        self._permits.give(run)\n", ""),
        Change(
            "executor",
            "        finally:\n            if outcome.held:",
            "        finally:\n            lane.ledger.running.discard(asyncio.current_task())\n"
            "            self._permits.give(run)\n            if outcome.held:",
        ),
    ),
    # ── lanes ────────────────────────────────────────────────────────────────────────────────────────────────────────
    "records leave their lane out of order": _one("executor", "lane.queue.pop(0)", "lane.queue.pop()"),
    "a lane is queued twice": _one(
        "executor", "        lane.append(slot)\n", "        lane.append(slot)\n        self._ready.append(lane)\n"
    ),
    "a wake is forgotten": _one(
        "executor", "        lane.timer = None\n        self._ready.append(lane)\n", "        lane.timer = None\n"
    ),
    "a choke is never released": _one("executor", "lane.ledger.choked -= 1", "pass"),
    "a flood goes first": _one(
        "executor", "self._ready.append(lane)  # at the end", "self._ready.appendleft(lane)  # at the end"
    ),
    "records without a key share a lane": _one(
        "executor", '("no key", slot.offset) if key is None else key', '"no key" if key is None else key'
    ),
    "the window has no bound": _one("executor", " and len(ledger.window) < self.limits.window", ""),
    # ── assignments ──────────────────────────────────────────────────────────────────────────────────────────────────
    "a late completion counts": _one("executor", "if not lane.ledger.closed:", "if True:"),
    "a halted ledger is served": _one("executor", "if ledger.halted or ledger.frozen:\n", "if ledger.frozen:\n"),
    "an abandoned ledger's tasks go on": _one(
        "executor", "        for task in ledger.running:\n            task.cancel()\n", ""
    ),
    "offsets that went back count as seen": _one("executor", "ledger = self._reopen(ledger)", "return True"),
    "a halted ledger takes records": _one(
        "executor", "if ledger is None or ledger.halted or ledger.frozen:", "if ledger is None or ledger.frozen:"
    ),
    "a frozen ledger takes records": _one(
        "executor", "if ledger is None or ledger.halted or ledger.frozen:", "if ledger is None or ledger.halted:"
    ),
    # ── failures ─────────────────────────────────────────────────────────────────────────────────────────────────────
    "a record is settled though its burial failed": _one(
        "worker", "return Outcome(delay=self._policy.longest)", "return Outcome(settled=1)"
    ),
    "a hold spends an attempt": _one("worker", "in {Fate.RETRY, Fate.BURY}", "in {Fate.RETRY, Fate.BURY, Fate.HOLD}"),
    "a wait spends an attempt": _one("worker", "in {Fate.RETRY, Fate.BURY}", "in {Fate.RETRY, Fate.BURY, Fate.WAIT}"),
    "the throttle never reopens": _one("throttle", "            self.tripped = False\n", ""),
    "an old success reopens the throttle": _one("throttle", " and started > self._since", ""),
    "probes come in floods": _one("permits", "self._probing == 0 and ", ""),
    "a probe is not asked for": _one(
        "executor", "                self._loop.call_later(outcome.delay, self.pump)\n", "                pass\n"
    ),
    "a cancellation from inside ends the attempt": _one(
        "worker",
        "            if is_ours():\n                raise\n            return",
        "            raise\n            return",
    ),
    "a burial cancelled from inside ends the attempt": _one(
        "worker", "CancelledError) and is_ours():", "CancelledError):"
    ),
    "the budget is never spent": _one("budget", "return after >= ", "return False and after >= "),
    # ── runs ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    "lingering keeps the permit": (
        Change("executor", "            self._permits.give(run)\n            self.pump()\n", ""),
        Change("executor", "            await turn\n", "            turn.cancel()\n"),
    ),
    "lingering ends without a permit": _one("executor", "            await turn\n", "            turn.cancel()\n"),
    "new runs come before those that lingered": (
        Change("executor", "        self._permits.serve()\n", ""),
        Change(
            "executor",
            "            task.add_done_callback(partial(self._ended, ledger, run))\n",
            "            task.add_done_callback(partial(self._ended, ledger, run))\n        self._permits.serve()\n",
        ),
    ),
    "the deadline runs while lingering": _one(
        "executor", "            deadline.reschedule(None)\n", "            pass\n"
    ),
    "the deadline never comes back": _one(
        "executor", "            if deadline and left is not None:\n", "            if False:\n"
    ),
    "a prefix settles one too many": _one(
        "worker",
        "return ONE if settled == 1 else Outcome(settled)",
        "return Outcome(min(settled + (answer is not None), len(run.slots)))",
    ),
    "poison is not isolated": _one("worker", "and len(run.slots) > 1:", "and len(run.slots) > 1_000:"),
    "an innocent pays for its company": _one("run", "        self.slots[0].attempt = 0\n", ""),
    "taking ignores the cut": _one("run", "self._host.cut_of(self._lane.decoded())", "len(self._lane.decoded())"),
    "a run takes in what did not decode": _one(
        "ledger", "            if slot.fault is not None:\n                break\n", ""
    ),
    "an arrival wakes nobody": _one("ledger", "            self.watcher.set_result(None)\n", "            pass\n"),
}
