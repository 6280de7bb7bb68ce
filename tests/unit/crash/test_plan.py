"""A short run has to be a crash run, too: enough kills, no group hit twice in a row, and CI's seed has it all."""

import re
from collections import Counter
from pathlib import Path

from tests.crash.plan import APART_S, GROUPS, WEIGHTS, Plan

HOUR_S, LEAST_AN_HOUR = 3600, 300
CI = Path(__file__).parents[3] / ".ci" / "run"
MEMBERS = {name: group for group, names in GROUPS.items() for name in names}


def test_two_minutes_of_any_seed_have_300_kills_an_hour() -> None:
    for seed in range(100):
        kills = sum(blow.what == "kill" for blow in Plan(seed, 120, contacts=8).blows)
        assert kills * HOUR_S / 120 >= LEAST_AN_HOUR, seed


def test_a_group_is_hit_once_in_ten_seconds_at_most() -> None:
    for seed in range(20):
        last: dict[str, float] = {}
        for blow in Plan(seed, 600, contacts=8).blows:
            if group := MEMBERS.get(blow.target):
                assert blow.at - last.get(group, -APART_S) >= APART_S, seed
                last[group] = blow.at + blow.seconds


def test_what_ci_plays_has_everything_in_it() -> None:
    found = re.search(r"make crash FOR=(\d+) SEED=(\d+)", CI.read_text())
    assert found
    blows = Plan(int(found[2]), float(found[1])).blows
    assert Counter(blow.what for blow in blows).keys() == WEIGHTS.keys()
    assert {MEMBERS[blow.target] for blow in blows if blow.what == "kill"} == GROUPS.keys()
