"""How commands speak, and which of them there are."""

import json
from importlib.metadata import entry_points

import pytest
import typer
from typer.testing import CliRunner

from kit.errors import Misconfigured, StoreDown
from kit.kafka.topics import Finding
from ops.cli import app
from ops.output import document, fail, runs, table
from ops.settings import service_settings
from ops.topics import report
from schemas.contact import UnusableAddress

runner = CliRunner()


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        pytest.param(Misconfigured(["A is missing", "B is wrong"]), 2, ["A is missing", "B is wrong"], id="settings"),
        pytest.param(StoreDown("MongoDB: away"), 1, ["MongoDB: away"], id="something is away"),
        pytest.param(UnusableAddress(), 1, [str(UnusableAddress())], id="no number"),
        pytest.param(KeyboardInterrupt(), 130, [], id="interrupted"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_an_exit_code(
    error: BaseException, code: int, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    @runs
    async def command() -> None:
        raise error

    with pytest.raises(typer.Exit) as left:
        command()
    assert left.value.exit_code == code
    assert capsys.readouterr().err.splitlines() == said


def test_a_bug_is_no_sentence() -> None:
    @runs
    async def command() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        command()


def test_a_failure_has_the_code_it_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as left:
        fail("not closed", 3)
    assert left.value.exit_code == 3
    assert capsys.readouterr().err == "not closed\n"


def test_a_document_is_json_with_letters_as_letters(capsys: pytest.CaptureFixture[str]) -> None:
    document({"añá": [1, None]})
    out = capsys.readouterr().out
    assert json.loads(out) == {"añá": [1, None]}
    assert "añá" in out


def test_a_table_has_every_row_whole(capsys: pytest.CaptureFixture[str]) -> None:
    table(["used_by", "value"], [{"used_by": "ingress", "value": "x" * 60}, {"value": "y"}])
    out = capsys.readouterr().out
    assert "used by" in out
    assert "x" * 60 in out


@pytest.mark.parametrize("text", ["[/b]", "[red]y[/red]", "[bold]"])
def test_a_clients_words_are_no_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    table(["text"], [{"text": text}])
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(("states", "fails"), [(["ok", "warn"], False), (["ok", "fail"], True), ([], False)])
def test_a_report_fails_when_a_finding_does(
    states: list[str], fails: bool, as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    findings = [Finding(f"s{n}", state, "detail", "remedy") for n, state in enumerate(states)]  # type: ignore[arg-type]
    if fails:
        with pytest.raises(typer.Exit) as left:
            report(findings, as_json=as_json)
        assert left.value.exit_code == 1
    else:
        report(findings, as_json=as_json)
    out = capsys.readouterr().out
    if as_json:
        keys = {"subject", "state", "detail", "remedy"}
        assert [set(row) for row in json.loads(out)] == [keys] * len(states)
    else:
        assert all(f"s{n}" in out for n in range(len(states)))


COMMANDS = {"ingress", "processor", "sender", "janitor", "sandbox", "demo"}
OPERATORS = {
    "topics",
    "doctor",
    "config",
    "stats",
    "explain",
    "deadletters",
    "export",
    "erase",
    "conversation",
    "close",
}


def test_help_lists_what_works() -> None:
    shown = runner.invoke(app, ["--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert {name for name in COMMANDS | OPERATORS if name not in shown.output} == set()


@pytest.mark.parametrize("name", sorted(OPERATORS))
def test_every_command_explains_itself(name: str) -> None:
    shown = runner.invoke(app, [name, "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert "Usage" in shown.output


def test_every_service_has_its_settings() -> None:
    services = {one.name for one in entry_points(group="hilo.services")}
    assert services == set(service_settings())


@pytest.mark.parametrize("number", ["nobody", "+12", "12345678"])
def test_a_number_that_is_none_is_one_sentence(number: str) -> None:
    shown = runner.invoke(app, ["conversation", number])
    assert shown.exit_code == 1
    assert shown.output.strip() == str(UnusableAddress())
