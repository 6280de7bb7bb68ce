"""One member of a group, as a process: `python -m tests.wire.lanes.member FILE [bug]`.

Run as every service is, by `kit.service.run`. It appends a line for each thing that happens, `when partition offset
key what`, and `when` is the machine's monotonic clock, the same for all processes. With `bug` the rule that cuts runs
raises.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import replace

from kit.errors import Poison
from kit.kafka.broker import client_options
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.delivery import Delivery
from kit.kafka.lanes import POLICY, Subscription
from kit.kafka.outlet import Outlet
from kit.lanes import Run
from kit.service import Service, Tools, run
from kit.settings import KafkaSettings
from schemas.topics import CALL_COMPLETED

__all__ = ["FAILS_ONCE", "POISON"]

POISON, FAILS_ONCE = "poison", "fails once"


class Recorder:
    """A handler of 5 to 50 ms that writes down what it does."""

    def __init__(self, path: str) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        self._failed: set[object] = set()

    def write(self, what: str, delivery: Delivery, key: object) -> None:
        position = delivery.position
        name = key.decode() if isinstance(key, bytes) else "-"
        line = f"{time.monotonic_ns()} {position.partition} {position.offset} {name} {what}\n"
        os.write(self._file, line.encode())  # one call: whole, even if we are killed next

    async def __call__(self, run: Run[Delivery]) -> None:
        (delivery,) = run.records
        self.write("start", delivery, run.key)
        try:
            await asyncio.sleep(random.uniform(0.005, 0.05))
            self._fail(delivery)
        except Poison:
            self.write("end", delivery, run.key)  # its burial settles it
            raise
        except RuntimeError:
            self.write("fail", delivery, run.key)
            raise
        except asyncio.CancelledError:
            self.write("cut", delivery, run.key)
            raise
        self.write("end", delivery, run.key)

    def _fail(self, delivery: Delivery) -> None:
        kind = delivery.envelope.data.model_dump()["client_name"]
        if kind == POISON:
            raise Poison("unusable_address")
        if kind == FAILS_ONCE and delivery.position not in self._failed:
            self._failed.add(delivery.position)
            raise RuntimeError("once")


def broken(_waiting: Sequence[Delivery]) -> int:
    raise ZeroDivisionError("a bug in a cut")


def build(settings: KafkaSettings, tools: Tools) -> Service:
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    wanted = Subscription(
        CALL_COMPLETED,
        Recorder(sys.argv[1]),
        cut=broken if "bug" in sys.argv else None,
        policy=replace(POLICY, first=0.05),
    )
    service = Service(tools)
    service.parts = [outlet, Consumers(settings, [wanted], letters, tools)]
    return service


if __name__ == "__main__":
    sys.exit(run("member", KafkaSettings, build))
