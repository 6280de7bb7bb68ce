"""Random worlds in virtual time: whatever happens, nothing is lost, nothing overtakes, nothing innocent is buried."""

import os

import pytest
from hypothesis import HealthCheck, given, settings

import kit.lanes
from tests.properties.lanes.plans import Plan, plans
from tests.properties.lanes.world import live

WORLDS = int(os.environ.get("HILO_WORLDS", "300"))


@pytest.mark.timeout(max(60, WORLDS // 4))
@settings(max_examples=WORLDS, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
@given(plans())
def test_in_any_world_everything_is_settled_in_order_and_nothing_is_lost(plan: Plan) -> None:
    live(kit.lanes, plan)
