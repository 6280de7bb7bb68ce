"""A report of another agent is paid for: what is there stays until there is a new one, and nothing heard is lost."""

from pathlib import Path
from typing import Any

import pytest
import typer

from kit.service import Tools
from ops.replaying import modes
from ops.replaying.child import ChildFailed
from ops.replaying.modes import Showing, asked
from ops.replaying.settings import ReplaySettings
from schemas.replay import Result
from tests.unit.ops.past import Past
from tests.unit.processor.states import message

SETTINGS = ReplaySettings(elevenlabs_api_key="x", twilio_whatsapp_numbers="+14155238886", _env_file=None)


@pytest.fixture
async def past(tools: Tools, monkeypatch: pytest.MonkeyPatch) -> Past:
    past = Past(tools)
    await past.wrote(("SM1", message("hola")))
    tale = await past.tale()

    async def told(*_: Any) -> Any:
        return tale

    monkeypatch.setattr(modes, "_tale", told)
    return past


@pytest.fixture
def former(tmp_path: Path) -> Path:
    path = tmp_path / "candidate.json"
    path.write_text("what was paid for before")
    return path


def text(path: Path) -> str:
    return path.read_text()


async def ask(path: Path, *, yes: bool) -> None:
    what: Any = None  # `told` knows
    await asked(SETTINGS, what, Showing(as_json=True), "agent_b", path, yes=yes)


@pytest.mark.usefixtures("past")
async def test_a_no_leaves_the_former_report(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: str) -> None:
        raise typer.Exit(1)

    monkeypatch.setattr(modes, "confirm", refuse)
    with pytest.raises(typer.Exit):
        await ask(former, yes=False)
    assert text(former) == "what was paid for before"


@pytest.mark.parametrize("heard", [0, 1])
async def test_a_run_that_breaks_leaves_what_it_heard(
    past: Past, former: Path, monkeypatch: pytest.MonkeyPatch, heard: int
) -> None:
    results = (await past.told())[:heard]

    async def breaks(_setup: Any, _tale: Any, _showing: Any, so_far: list[Result]) -> None:
        so_far += results
        raise ChildFailed("the sealed child ended before its work was done")

    monkeypatch.setattr(modes, "replayed", breaks)
    with pytest.raises(ChildFailed):
        await ask(former, yes=True)
    assert ('"turns": 1' if heard else "what was paid for before") in text(former)


@pytest.mark.usefixtures("past")
async def test_a_place_that_cannot_be_written_is_said_before_anybody_is_asked(tmp_path: Path) -> None:
    with pytest.raises(typer.Exit):
        await ask(tmp_path / "none" / "report.md", yes=True)
