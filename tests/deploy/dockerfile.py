"""`deploy/Dockerfile`, read into its stages, and built in a folder, without an engine: COPY and `RUN uv …` lines."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.deploy.compose import ROOT

__all__ = ["PATH", "Stage", "build", "stages"]

PATH = ROOT / "deploy" / "Dockerfile"


@dataclass
class Stage:
    name: str
    base: str
    steps: list[tuple[str, str]] = field(default_factory=list)
    """Instruction and its arguments, in order."""


def stages() -> dict[str, Stage]:
    found: dict[str, Stage] = {}
    for line in PATH.read_text().splitlines():
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, name = re.split(r"\s+AS\s+", rest)
            found[name] = Stage(name, base)
        elif word.isupper():
            found[list(found)[-1]].steps.append((word, rest))
    return found


def build(name: str, folder: Path, upon: str = "") -> Path:
    """Run the stage and those below it, down to `upon`, which is there already; returns the virtual environment."""
    table, chain = stages(), []
    while name in table:
        chain.append(table[name])
        name = table[name].base
    environment = {**os.environ, "UV_PYTHON": sys.executable}  # this machine's registry and its certificates
    done = upon == ""
    for stage in reversed(chain):
        for word, rest in stage.steps:
            if word == "ENV":
                environment |= dict(part.split("=", 1) for part in shlex.split(rest))
                environment["UV_PROJECT_ENVIRONMENT"] = str(folder / ".venv")
            elif done and word == "COPY" and not rest.startswith("--from"):
                _copy(*rest.split(), folder=folder)
            elif done and word == "RUN":
                compiled = rest.endswith("--no-editable")  # one pass over all files is enough for their size
                _run(shlex.split(rest), folder, environment | {"UV_COMPILE_BYTECODE": str(int(compiled))})
        done = done or stage.name == upon
    return folder / ".venv"


def _copy(*names: str, folder: Path) -> None:
    *sources, target = names
    for source in sources:
        origin = ROOT / source
        if origin.is_dir():
            shutil.copytree(origin, folder / target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(origin, folder / target / source)


def _run(words: list[str], folder: Path, environment: dict[str, str]) -> None:
    program = str(Path(sys.executable).with_name(words[0]))
    if not Path(program).exists():  # make installs uv beside this Python
        program = shutil.which(words[0]) or words[0]
    done = subprocess.run(  # noqa: S603  # the Dockerfile's own line
        [program, *words[1:]], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
