"""`deploy/kubernetes` as kustomize builds it, without needing kustomize: what it built is kept beside the tests.

`python -m tests.deploy.kubernetes` builds again, with `kustomize` or `kubectl kustomize`, whichever is there. Each kept
file begins with the digest of the sources it was built from, so that a forgotten one fails on every machine.
"""

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from tests.deploy.compose import ROOT

__all__ = ["OVERLAYS", "Manifest", "built", "digest", "kept", "kustomize", "parsed"]

SOURCES = ROOT / "deploy" / "kubernetes"
KEPT = ROOT / "tests" / "deploy" / "rendered"
OVERLAYS = ("small", "production")
Manifest = dict[str, Any]


def digest(sources: Path = SOURCES) -> str:
    total = hashlib.sha256()
    for path in sorted(one for one in sources.rglob("*") if one.is_file()):
        total.update(path.relative_to(sources).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def kustomize() -> list[str] | None:
    """The command before a folder, where there is one."""
    if found := shutil.which("kustomize"):
        return [found, "build"]
    return [found, "kustomize"] if (found := shutil.which("kubectl")) else None


def built(overlay: str, command: list[str]) -> str:
    folder = str(SOURCES / "overlays" / overlay)
    done = subprocess.run([*command, folder], capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return done.stdout


def kept(overlay: str) -> tuple[str, str]:
    """The digest of its sources, and what was built."""
    first, _, rest = (KEPT / f"{overlay}.yaml").read_text().partition("\n")
    return first.removeprefix("# "), rest


def parsed(text: str) -> list[Manifest]:
    return [one for one in yaml.safe_load_all(text) if one]


def _keep() -> Iterator[str]:
    command = kustomize()
    if command is None:
        sys.exit("neither kustomize nor kubectl is here: https://kubectl.docs.kubernetes.io/installation/kustomize/")
    for overlay in OVERLAYS:
        path = KEPT / f"{overlay}.yaml"
        path.write_text(f"# {digest()}\n{built(overlay, command)}")
        yield str(path.relative_to(ROOT))


if __name__ == "__main__":
    KEPT.mkdir(exist_ok=True)
    print("\n".join(_keep()))  # noqa: T201
