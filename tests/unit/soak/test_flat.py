"""What counts as flat."""

import pytest

from tests.soak.flat import Allowance, trend

LEAST = Allowance(share=0.05, least=8.0)
HOUR = range(0, 3600, 10)


def test_breathing_is_flat() -> None:
    found = trend([(at, 100 + (at // 10) % 7) for at in HOUR], LEAST)
    assert found.flat
    assert abs(found.gain) < 1


def test_filling_up_in_the_warm_up_is_flat() -> None:
    assert trend([(at, min(100 + at / 10, 200)) for at in HOUR], LEAST).flat


def test_one_high_sample_at_the_end_does_not_decide() -> None:
    assert trend([(at, 100.0) for at in HOUR] + [(3600, 160.0)], LEAST).flat


@pytest.mark.parametrize("a_turn_b", [400, 1000])
def test_a_leak_of_some_hundred_bytes_a_turn_is_seen(a_turn_b: int) -> None:
    found = trend([(at, 100 + at * 12 * a_turn_b / 2**20 + (at // 10) % 7) for at in HOUR], LEAST)
    assert not found.flat


def test_shrinking_is_flat() -> None:
    assert trend([(at, 200 - at / 60) for at in HOUR], LEAST).flat


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="too short"):
        trend([(0, 1), (10, 1), (20, 1)], LEAST)
