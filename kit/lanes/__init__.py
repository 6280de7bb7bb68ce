"""Lanes: one FIFO per key, thousands at once, over any source of offsets. Pure asyncio; it knows no Kafka.

Start reading at `executor.py`; `ledger.py` has the invariant that commits rest on.
"""

from kit.lanes.budget import BurialBudget
from kit.lanes.cancelling import is_ours
from kit.lanes.executor import LaneExecutor
from kit.lanes.glance import Glance, glance
from kit.lanes.ledger import Ledger, Slot
from kit.lanes.limits import Limits
from kit.lanes.marks import Mark
from kit.lanes.observer import Observer
from kit.lanes.retry import Fate, RetryPolicy, Verdict
from kit.lanes.run import Run
from kit.lanes.throttle import Throttle
from kit.lanes.worker import Burial

__all__ = [
    "Burial",
    "BurialBudget",
    "Fate",
    "Glance",
    "LaneExecutor",
    "Ledger",
    "Limits",
    "Mark",
    "Observer",
    "RetryPolicy",
    "Run",
    "Slot",
    "Throttle",
    "Verdict",
    "glance",
    "is_ours",
]
