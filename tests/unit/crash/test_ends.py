"""How a run ends: its exit code, its account, its logs."""

import argparse
import asyncio
import logging
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.crash import __main__ as crash
from tests.soak import __main__ as soak

GIVEN: dict[str, Any] = {"seconds": 60.0, "seed": 1, "contacts": 8, "rate": 1.0, "keep": False}


class Broken:
    """A run that nobody wants to be played."""

    def __init__(self, *_given: Any) -> None:
        pass


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(crash, "CrashRun", Broken)
    monkeypatch.setattr(soak, "Soak", Broken)
    monkeypatch.setattr("structlog.configure", lambda **_: None)
    monkeypatch.setattr(logging.getLogger("aiokafka"), "setLevel", lambda _: None)
    file = tmp_path / "account.json"
    file.write_text('{"verdict": "ok"}')
    return file


@pytest.mark.parametrize("what", [crash, soak])
def test_a_run_that_breaks_leaves_no_older_verdict(
    what: ModuleType, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_given: Any) -> int:
        raise RuntimeError("the broker did not come back")

    monkeypatch.setattr(what, "stopped", breaks)
    with pytest.raises(RuntimeError):
        asyncio.run(what._main(argparse.Namespace(**GIVEN, json=account)))
    assert not account.exists()
