"""Public namespaces are complete: `__all__` has what others import, and has nothing that is not there."""

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PACKAGES = ("schemas", "kit", "ingress", "processor", "sender", "janitor", "ops", "sandbox")


def modules(*packages: str) -> list[str]:
    paths = (path for package in packages for path in sorted((ROOT / package).rglob("*.py")) if path.stem != "__main__")
    names = (".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in paths)
    return [name for name in names if not name.startswith("kit.lanes")]


def imported_elsewhere() -> dict[str, set[str]]:
    """Module → names that other production modules import from it."""
    wanted: dict[str, set[str]] = {}
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ImportFrom) and node.module:
                    wanted.setdefault(node.module, set()).update(alias.name for alias in node.names)
    return wanted


IMPORTED = imported_elsewhere()


@pytest.mark.parametrize("name", modules("schemas", "kit"))
def test_all_names_exist_once(name: str) -> None:
    module = importlib.import_module(name)
    public = getattr(module, "__all__", [])
    assert len(public) == len(set(public))
    assert [one for one in public if not hasattr(module, one)] == []


@pytest.mark.parametrize("name", modules("schemas", "kit"))
def test_all_has_what_others_import(name: str) -> None:
    module = importlib.import_module(name)
    if not hasattr(module, "__all__"):
        assert not Path(module.__file__ or "").read_text().strip()  # an empty package
        return
    submodules = {one.rpartition(".")[2] for one in modules(*PACKAGES) if one.startswith(f"{name}.")}
    assert IMPORTED.get(name, set()) - set(module.__all__) - submodules == set()
