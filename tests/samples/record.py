"""`python -m tests.samples.record` records what has no sample yet; a recorded sample is never written again.

A sample that cannot be read any more means that the contract broke: bring back what it needs, or add a new type.
"""

import json
from pathlib import Path

from schemas.attributes import Envelope, WireRecord, encode
from schemas.contact import Contact
from schemas.events import Event
from tests.samples.examples import AT, CONTACT, EXAMPLES

__all__ = ["HERE", "load", "samples"]

HERE = Path(__file__).parent
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def samples() -> list[Path]:
    return sorted(HERE.glob("*.json"))


def load(path: Path) -> tuple[WireRecord, str, object]:
    """The record, its type's name, and the value as it was understood when it was recorded."""
    sample = json.loads(path.read_text())
    headers = [(name, value.encode()) for name, value in sample["headers"]]
    return WireRecord(sample["key"].encode(), sample["value"].encode(), headers), sample["type"], sample["reads_as"]


def _record(event: Event) -> dict[str, object]:
    envelope = Envelope(
        f"id-{event.type_name()}", "hilo/sample", AT, Contact(CONTACT), event, extensions={"traceparent": TRACE}
    )
    wire = encode(envelope)
    return {
        "type": event.type_name(),
        "key": (wire.key or b"").decode(),
        "headers": [[name, value.decode()] for name, value in wire.headers],
        "value": (wire.value or b"").decode(),
        "reads_as": event.model_dump(mode="json", exclude_unset=True),
    }


def main() -> None:
    for name, event in EXAMPLES.items():
        path = HERE / f"{name}.json"
        if not path.exists():
            path.write_text(json.dumps(_record(event), ensure_ascii=False, indent=2) + "\n")


if __name__ == "__main__":
    main()
