"""docs/scale.md has the figures of the last measurement."""

import pytest

from tests.bench.scale.costs import WORLD, costs
from tests.bench.scale.page import PAGE, QUICK, SLOW, block, written

AGAIN = "run `python -m tests.bench.scale`"


@pytest.mark.parametrize("name", QUICK)
def test_tables_are_those_of_the_last_measurement(name: str) -> None:
    assert block(PAGE.read_text(), name) == QUICK[name](costs(), WORLD), AGAIN


@pytest.mark.parametrize("name", SLOW)
def test_the_simulation_is_of_the_last_measurement(name: str) -> None:
    """Half a minute to make: its date has to do."""
    assert f"Costs of {costs().at[:10]}" in block(PAGE.read_text(), name), AGAIN


def test_writing_twice_changes_nothing() -> None:
    once = written("<!-- made: x -->\nold\n<!-- end -->\n", {"x": "new\n"})
    assert once == "<!-- made: x -->\nnew\n<!-- end -->\n" == written(once, {"x": "new\n"})
