"""Write the figures of docs/scale.md anew, from the last run of `make bench BENCH=path_end_to_end`: half a minute."""

from tests.bench.scale.costs import WORLD, costs
from tests.bench.scale.page import PAGE, QUICK, SLOW, written

if __name__ == "__main__":
    cost = costs()
    PAGE.write_text(written(PAGE.read_text(), {name: make(cost, WORLD) for name, make in {**QUICK, **SLOW}.items()}))
    print(f"{PAGE}: from what was measured on {cost.at}")  # noqa: T201
