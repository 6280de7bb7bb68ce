"""The documents name settings, files and commands: each has to be there, and what is there has to be named."""

import re
import shlex
from collections.abc import Iterator
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import typer
from pydantic import SecretStr

from ops.cli import app
from schemas import notices
from schemas.events import Event

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
EVERY = {"ingress", "processor", "sender", "janitor", "console"}
GROUPS = {"all": EVERY}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")


def settings() -> dict[str, tuple[str, set[str]]]:
    """Name → default, as text, and the services that read it."""
    found: dict[str, tuple[str, set[str]]] = {}
    for service in entry_points(group="hilo.settings"):
        for name, field in service.load().model_fields.items():
            default = "must be set" if field.is_required() else shown(field.default)
            _, used_by = found.setdefault(name.upper(), (default, set()))
            used_by.add(service.name)
    return found


def shown(default: object) -> str:
    value = default.get_secret_value() if isinstance(default, SecretStr) else default
    return "–" if value in {None, ""} else str(value)


def rows() -> dict[str, tuple[str, set[str]]]:
    """The README's configuration table, in the same form."""
    section = (ROOT / "README.md").read_text().split("## Configuration")[1].split("\n## ")[0]
    found: dict[str, tuple[str, set[str]]] = {}
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].startswith("`"):
            name, default, readers = cells[0].strip("`"), cells[1].strip("`"), cells[2]
            assert name not in found, f"{name} stands twice in the table"
            found[name] = (default, GROUPS.get(readers) or set(readers.split(", ")))
    return found


def commands(word: str) -> Iterator[tuple[str, list[str]]]:
    """Every `hilo …` or `make …`: in a code span, or a line of a block. With the page it stands on."""
    for page in PAGES:
        text = page.read_text()
        blocks = FENCED.findall(text)
        lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.splitlines()[1:-1]]
        for code in [*SPAN.findall(FENCED.sub("", text)), *lines]:
            if code.startswith(f"{word} "):
                yield page.name, shlex.split(code, comments=True)[1:]


def test_configuration_table_is_what_the_services_read() -> None:
    told, read = rows(), settings()
    assert set(told) == set(read)
    assert {name: row for name, row in told.items() if row != read[name]} == {}


def test_env_example_lists_every_setting_with_its_default() -> None:
    read = settings()
    listed = re.findall(r"^(#?)([A-Z][A-Z0-9_]*)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE)
    assert {name for _, name, _ in listed} == set(read)
    for commented, name, value in listed:
        default = read[name][0]
        assert bool(commented) == (default != "must be set"), f"{name}: only what must be set is not commented out"
        assert not commented or (value or "–") == default, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    targets = [link.partition("#")[0] for link in LINK.findall(FENCED.sub("", page.read_text())) if "://" not in link]
    assert [one for one in targets if one and not (page.parent / one).exists()] == []


def test_commands_exist() -> None:
    root = typer.main.get_command(app)
    for page, words in commands("hilo"):
        command, rest = root, list(words)
        while rest and rest[0] in getattr(command, "commands", {}):
            command = command.commands[rest.pop(0)]  # type: ignore[attr-defined]  # a group, as the line above saw
        options = {name for one in command.params for name in [*one.opts, *one.secondary_opts]} | {"--help"}
        assert command is not root, f"{page}: hilo {' '.join(words)}"
        assert not hasattr(command, "commands") or not rest, f"{page}: hilo {' '.join(words)}"
        assert {word for word in rest if word.startswith("--")} <= options, f"{page}: hilo {' '.join(words)}"


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page, words in commands("make"):
        assert words[0] in targets, f"{page}: make {' '.join(words)}"


def test_decisions_have_the_same_four_parts() -> None:
    for number, page in enumerate(sorted((ROOT / "docs/adr").glob("*.md")), 1):
        title, *parts = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
        assert page.name.startswith(f"{number:04}-"), page.name
        assert title.startswith(f"{number}. "), page.name
        assert parts == ["Context", "Decision", "Consequences", "What else was tried"], page.name


def test_decisions_that_code_names_exist() -> None:
    known = {page.name[:4] for page in (ROOT / "docs/adr").glob("*.md")}
    folders = ("schemas", "kit", *EVERY, "ops", "sandbox")
    named = {
        number
        for folder in folders
        for file in (ROOT / folder).rglob("*.py")
        for number in re.findall(r"ADR (\d{4})", file.read_text())
    }
    assert named <= known


def test_table_of_notices_is_complete() -> None:
    text = (ROOT / "docs/integration.md").read_text()
    told = dict(re.findall(r"^\| `(\w+)` \| `(hilo\.[a-z-]+\.v\d+)` \|", text, re.MULTILINE))
    kinds: dict[str, type[Event]] = {name: getattr(notices, name) for name in notices.__all__ if name != "Notice"}
    assert told == {name: kind.type_name() for name, kind in kinds.items()}
    for name, kind in kinds.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        fields = row.rstrip(" |").split(" | ")[-1]
        own = {field: about for field, about in kind.model_fields.items() if field not in {"contact", "at"}}
        assert [one for one in own if f"`{one}`" not in fields] == [], name
        optional = {one for one, about in own.items() if about.default is None}
        assert optional == set(re.findall(r"\[`(\w+)`\]", fields)), name


def test_notices_marked_as_not_emitted_are_not() -> None:
    text = (ROOT / "docs/integration.md").read_text()
    services = "".join(file.read_text() for name in EVERY for file in (ROOT / name).rglob("*.py"))
    for name in notices.__all__:
        row = next((line for line in text.splitlines() if line.startswith(f"| `{name}` |")), None)
        if row:
            assert ("no service emits it yet" in row) != (f"{name}(" in services), name
