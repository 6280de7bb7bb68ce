"""The sandbox's clock file."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kit.clock import FileClock, SystemClock


@pytest.fixture
def real(monkeypatch: pytest.MonkeyPatch) -> datetime:
    moment = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
    monkeypatch.setattr(SystemClock, "now", lambda _: moment)
    return moment


@pytest.mark.parametrize(
    ("text", "seconds"), [(None, 0), ("", 0), (" \n", 0), ("90000", 90_000), ("1.5\n", 1.5), ("-60", -60)]
)
def test_the_file_holds_an_offset(real: datetime, tmp_path: Path, text: str | None, seconds: float) -> None:
    path = tmp_path / "clock"
    if text is not None:
        path.write_text(text)
    assert FileClock(path).now() == real + timedelta(seconds=seconds)


def test_a_change_is_seen_and_a_removed_file_is_no_offset(real: datetime, tmp_path: Path) -> None:
    path = tmp_path / "clock"
    clock = FileClock(path)
    path.write_text("10")
    assert clock.now() == real + timedelta(seconds=10)
    path.write_text("86400")
    assert clock.now() == real + timedelta(days=1)
    path.unlink()
    assert clock.now() == real


def test_durations_stay_real(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    clock = FileClock(path)
    before = clock.monotonic()
    path.write_text("86400")
    assert clock.monotonic() - before < 3600


async def test_a_moment_in_the_past_is_not_waited_for(real: datetime, tmp_path: Path) -> None:
    path = tmp_path / "clock"
    path.write_text("86400")
    await FileClock(path).sleep_until(real + timedelta(days=1))
