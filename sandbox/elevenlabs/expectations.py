"""`POST /__sim/assert`: counts that a test outside this process expects."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from sandbox.elevenlabs.world import World

__all__ = ["Expectation", "check"]


class Bounds(BaseModel):
    model_config = ConfigDict(extra="forbid")

    min: int | None = None
    max: int | None = None


class Expectation(BaseModel):
    """Names are those of `/__sim/stats`, `closes.1000` and `warnings.<text>` included."""

    model_config = ConfigDict(extra="forbid")

    counts: dict[str, int | Bounds]


def check(world: World, expectation: Expectation) -> list[dict[str, Any]]:
    """The expectations that do not hold, each with what there is instead."""
    stats = world.stats.as_json()
    mismatches = []
    for name, wanted in expectation.counts.items():
        group, _, key = name.partition(".")
        got = stats.get(group, {}).get(key, 0) if key else stats.get(name, 0)
        bounds = wanted if isinstance(wanted, Bounds) else Bounds(min=wanted, max=wanted)
        if (bounds.min is not None and got < bounds.min) or (bounds.max is not None and got > bounds.max):
            mismatches.append({"name": name, "expected": bounds.model_dump(exclude_none=True), "got": got})
    return mismatches
