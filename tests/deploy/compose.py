"""`docker-compose.yml` as Docker Compose reads it, and each container as a process of this machine."""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from dotenv import dotenv_values

__all__ = ["ROOT", "SANDBOX_ENV", "Container", "compose", "env_file", "interpolated"]

ROOT = Path(__file__).parents[2]
SANDBOX_ENV = ROOT / "deploy" / "sandbox.env"
VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*))?\}")
PORT = re.compile(r"^[A-Z_]*PORT$|^--(control-)?port$")


def env_file(path: Path) -> dict[str, str]:
    return {name: value or "" for name, value in dotenv_values(path, interpolate=False).items()}


def interpolated(value: Any, variables: Mapping[str, str]) -> Any:
    """`${NAME}` and `${NAME:-default}`, as the Compose Specification says; everywhere but in keys."""
    if isinstance(value, dict):
        return {name: interpolated(one, variables) for name, one in value.items()}
    if isinstance(value, list):
        return [interpolated(one, variables) for one in value]
    if isinstance(value, str):
        return VARIABLE.sub(lambda found: variables.get(found["name"]) or found["default"] or "", value)
    return value


def compose(variables: Mapping[str, str]) -> dict[str, Any]:
    """The whole file; anchors and merge keys are YAML's own."""
    document: dict[str, Any] = interpolated(yaml.safe_load((ROOT / "docker-compose.yml").read_text()), variables)
    return document


@dataclass(frozen=True)
class Container:
    """What a container of ours runs, with addresses of this machine instead of the network's names.

    `places` maps `name:port` of the compose file to `host:port` here.
    """

    name: str
    about: Mapping[str, Any]
    places: Mapping[str, str]

    @property
    def command(self) -> list[str]:
        return self._here([*self.about.get("entrypoint", ["hilo"]), *self.about.get("command", [])])

    @property
    def health_check(self) -> list[str]:
        kind, *words = self.about["healthcheck"]["test"]
        assert kind == "CMD"
        return self._here(words)

    def environment(self, env: Mapping[str, str]) -> dict[str, str]:
        """`env_file` below `environment`, and nothing of this shell but its PATH."""
        given = {**env, **{name: str(value) for name, value in self.about.get("environment", {}).items()}}
        return {"PATH": os.environ["PATH"], **{name: self._moved(name, value) for name, value in given.items()}}

    def _here(self, words: Sequence[str]) -> list[str]:
        """A program of the image is the one beside this Python."""
        program = str(Path(sys.executable).with_name(words[0]))
        return [program, *(self._argument(word) for word in words[1:])]

    def _argument(self, word: str) -> str:
        name, sign, value = word.partition("=")
        return name + sign + self._moved(name, value) if sign and name.startswith("--") else self._moved("", word)

    def _moved(self, name: str, value: str) -> str:
        if PORT.match(name):
            return self.places[f"{self.name}:{value}"].rpartition(":")[2]
        value = value.replace("localhost:", f"{self.name}:")
        for place, here in self.places.items():
            value = value.replace(place, here)
        return value.removesuffix("/?replicaSet=hilo").replace("0.0.0.0", "127.0.0.1")  # noqa: S104
