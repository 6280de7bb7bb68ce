"""How long each stage takes: a distribution per stage, drawn from the simulator's seeded generator."""

import math
import random
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["CALM", "Latency", "Spread"]

_Z95 = 1.6449  # the 95th percentile of a standard normal


class Spread(BaseModel):
    """Milliseconds. `fixed` is p50; `uniform` lies between p50 and p95; `lognormal` has these percentiles."""

    model_config = ConfigDict(extra="forbid")

    dist: Literal["fixed", "uniform", "lognormal"] = "fixed"
    p50: float = 0.0
    p95: float | None = None

    def draw(self, rng: random.Random) -> float:
        if self.p50 <= 0 or self.dist == "fixed" or self.p95 is None:
            return self.p50
        if self.dist == "uniform":
            return rng.uniform(self.p50, self.p95)
        return self.p50 * math.exp(rng.gauss(0.0, 1.0) * math.log(self.p95 / self.p50) / _Z95)


class Latency(BaseModel):
    """Per stage; all zero unless said. `first_event` is the agent's thinking, `chunk` between streamed parts."""

    model_config = ConfigDict(extra="forbid")

    connect: Spread = Field(default_factory=Spread)
    init: Spread = Field(default_factory=Spread)
    first_event: Spread = Field(default_factory=Spread)
    chunk: Spread = Field(default_factory=Spread)
    complete: Spread = Field(default_factory=Spread)
    rest: Spread = Field(default_factory=Spread)


CALM = Latency(
    connect=Spread(p50=20),
    init=Spread(p50=40),
    first_event=Spread(dist="uniform", p50=300, p95=800),
    chunk=Spread(p50=15),
    complete=Spread(p50=10),
    rest=Spread(p50=15),
)
