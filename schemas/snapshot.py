"""The contract as documents: JSON Schema of every event, AsyncAPI of the topics.

`python -m schemas.snapshot` writes them.

They are checked in, and a test compares them with the code: no change of the contract passes unseen.
"""

import json
from pathlib import Path
from typing import Any

from schemas.topics import TOPICS, Topic

__all__ = ["snapshots", "write"]

HERE = Path(__file__).parent
ATTRIBUTES = {
    "type": "object",
    "description": "CloudEvents 1.0, binary mode. A foreign producer of call.completed may leave all of them out.",
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string", "description": "stable: a repeat has the same one"},
        "ce_type": {"type": "string"},
        "ce_source": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time"},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string", "description": "W3C Trace Context"},
    },
}


def snapshots() -> dict[Path, dict[str, Any]]:
    """Every file of the contract and what has to be in it."""
    events = {event for topic in TOPICS for event in topic.events}
    files = {
        HERE / "json" / f"{event.type_name()}.json": event.model_json_schema(mode="serialization") for event in events
    }
    return {**files, HERE / "asyncapi.json": _asyncapi()}


def render(document: dict[str, Any]) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, sort_keys=True) + "\n"


def write() -> None:
    (HERE / "json").mkdir(exist_ok=True)
    for path, document in snapshots().items():
        path.write_text(render(document))


def _asyncapi() -> dict[str, Any]:
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Hilo", "version": "1", "description": "Topics between the services and the main backend."},
        "defaultContentType": "application/json",
        "channels": {topic.name: _channel(topic) for topic in TOPICS},
        "components": {"schemas": {"Attributes": ATTRIBUTES}},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    return {
        "address": topic.name,
        "description": topic.about,
        "bindings": {"kafka": {"partitions": topic.partitions, "topicConfiguration": _configuration(topic)}},
        "messages": {
            event.__name__: {
                "name": event.type_name(),
                "summary": (event.__doc__ or "").strip().splitlines()[0] if event.__doc__ else "",
                "headers": {"$ref": "#/components/schemas/Attributes"},
                "payload": {"$ref": f"json/{event.type_name()}.json"},
                "bindings": {"kafka": {"key": {"type": "string", "description": topic.key}}},
            }
            for event in topic.events
        },
    }


def _configuration(topic: Topic) -> dict[str, Any]:
    config = topic.config
    return {
        "cleanup.policy": [config["cleanup.policy"]],
        "retention.ms": int(config["retention.ms"]),
        "max.message.bytes": int(config["max.message.bytes"]),
    }


if __name__ == "__main__":
    write()
