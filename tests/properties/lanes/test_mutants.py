"""A suite that no deliberate bug survives: otherwise the worlds would rot unseen."""

import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, given, settings

import kit.lanes
from tests.properties.lanes.mutants import MUTANTS, copy_with
from tests.properties.lanes.plans import Plan, plans
from tests.properties.lanes.world import live
from tests.unit.kit.lanes import rig, test_closing, test_failures, test_intake, test_ordering, test_runs

WORLDS = 60
pytestmark = [pytest.mark.timeout(180), pytest.mark.filterwarnings("ignore")]  # mutants leave a mess behind


@pytest.fixture(autouse=True)
def _the_real_lanes_again() -> Iterator[None]:
    yield
    rig.use(kit.lanes)


def worlds(lanes: ModuleType) -> None:
    @settings(
        max_examples=WORLDS,
        derandomize=True,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(plans())
    def world(plan: Plan) -> None:
        live(lanes, plan)

    world()


def scenarios() -> Iterator[Callable[[], None]]:
    for module in (test_ordering, test_runs, test_failures, test_intake, test_closing):
        for name, test in vars(module).items():
            if name.startswith("test_") and not inspect.signature(test).parameters:
                yield test


def killers(lanes: ModuleType) -> Iterator[str]:
    """The names of what fails on these lanes."""
    try:
        worlds(lanes)
    except Exception:  # noqa: BLE001  # a death is a death
        yield "worlds"
    rig.use(lanes)
    for scenario in scenarios():
        try:
            scenario()
        except Exception:  # noqa: BLE001
            yield scenario.__name__


def test_an_unchanged_copy_survives(tmp_path: Path) -> None:
    with copy_with((), tmp_path) as lanes:
        assert list(killers(lanes)) == []


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_deliberate_bug_is_found(mutant: str, tmp_path: Path) -> None:
    with copy_with(MUTANTS[mutant], tmp_path) as lanes:
        assert next(killers(lanes), None), f"survived: {mutant}"
