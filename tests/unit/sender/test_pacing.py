"""How fast: places in a queue, on a clock that only the test moves."""

from itertools import pairwise

import pytest

from sender.pacing import Pacer
from tests.conftest import FakeClock


@pytest.fixture
def pacer(clock: FakeClock) -> Pacer:
    return Pacer(clock, 80)


def run(pacer: Pacer, clock: FakeClock, sends: list[tuple[str, str]]) -> list[float]:
    """When each of them goes, in seconds from now: all ask at once, and again when told to."""
    began = clock.monotonic()
    gone: dict[int, float] = {}
    waiting = dict.fromkeys(range(len(sends)), 0.0)
    while waiting:
        clock.advance(min(waiting.values()))
        waiting = {one: pacer.wait(*sends[one], f"{one}") for one in waiting}
        gone |= {one: clock.monotonic() - began for one, left in waiting.items() if not left}
        waiting = {one: left for one, left in waiting.items() if left}
    return [gone[one] for one in sorted(gone)]


def test_a_number_takes_its_rate_and_no_more(pacer: Pacer, clock: FakeClock) -> None:
    times = run(pacer, clock, [("a", f"contact {one}") for one in range(400)])
    assert times == sorted(times)
    assert 4.8 <= times[-1] <= 5.0
    assert max(sum(start <= one < start + 1 for one in times) for start in times) <= 80 + 9


def test_numbers_do_not_share(pacer: Pacer, clock: FakeClock) -> None:
    times = run(pacer, clock, [(str(one % 4), f"contact {one}") for one in range(400)])
    assert times[-1] < 1.3


def test_one_person_gets_one_a_second_and_after_ten_one_in_six(pacer: Pacer, clock: FakeClock) -> None:
    times = run(pacer, clock, [("a", "ana")] * 14)
    gaps = [round(b - a) for a, b in pairwise(times)]
    assert gaps[:9] == [1] * 9
    assert gaps[-1] == 6
    assert times[-1] >= (14 - 10) * 6


def test_a_place_is_kept(pacer: Pacer, clock: FakeClock) -> None:
    assert pacer.wait("a", "ana", "1") == 0
    assert pacer.wait("a", "ana", "2") == 1
    assert pacer.wait("a", "ana", "3") == 2
    clock.advance(0.4)
    assert pacer.wait("a", "ana", "2") == pytest.approx(0.6)
    clock.advance(0.6)
    assert pacer.wait("a", "ana", "2") == 0


def test_what_no_longer_matters_is_forgotten(pacer: Pacer, clock: FakeClock) -> None:
    for one in range(10_001):
        pacer._numbers.clear()
        pacer.wait("a", f"contact {one}", f"{one}")
    clock.advance(100)
    pacer.wait("a", "ana", "x")
    assert len(pacer._pairs) == 1
