"""`hilo config`: the effective settings, masked, and where each came from."""

import os
from pathlib import Path

from dotenv import dotenv_values

from kit.errors import Misconfigured
from kit.settings import env_file, load, masked
from ops.output import JSON, document, runs, table
from ops.settings import service_settings

__all__ = ["config"]


@runs
async def config(as_json: bool = JSON) -> None:
    """Show every setting of every service: its value, masked, where it came from, and who uses it."""
    rows: dict[str, dict[str, str]] = {}
    faults: list[str] = []
    for service, kind in service_settings().items():
        try:
            values = masked(load(kind))
        except Misconfigured as error:
            faults += error.faults
            values = {name.upper(): "" for name in kind.model_fields}
        for name, value in values.items():
            row = rows.setdefault(name, {"name": name, "value": value, "from": _origin(name), "used_by": ""})
            row["used_by"] = f"{row['used_by']} {service}".strip()
    listed = [rows[name] for name in sorted(rows)]
    if as_json:
        document({"settings": listed, "faults": list(dict.fromkeys(faults))})
    else:
        table(["name", "value", "from", "used_by"], listed)
    if faults:
        raise Misconfigured(list(dict.fromkeys(faults)))


def _origin(name: str) -> str:
    file = env_file()
    if os.environ.get(name):
        return "environment"
    if file and Path(file).exists() and name in dotenv_values(file):
        return file
    return "default"
