"""What a PromQL expression asks for, and whether our services could answer it. No parser: promtool is one."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from kit.metric_names import DEFINITIONS

__all__ = ["faults", "promtool"]

PROMTOOL = shutil.which("promtool")

# Of Prometheus itself, or of its client's process collector.
FOREIGN = {"process_start_time_seconds", "process_cpu_seconds_total", "process_resident_memory_bytes", "ALERTS"}
ADDED = {"le", "instance", "job"}
SELECTOR = re.compile(r"\b((?:hilo|process)_[a-z0-9_]+)\s*(?:\{([^}]*)\})?")
MATCHER = re.compile(r"(\w+)\s*(=~|!~|!=|=)\s*\"([^\"]*)\"")
GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
SUFFIX = re.compile(r"_(bucket|sum|count)$")


def faults(expression: str) -> Iterator[str]:
    """Names, labels and values that no service of ours exports."""
    labels = set(ADDED)
    for found in SELECTOR.finditer(expression):
        name, matchers = found[1], found[2] or ""
        if name in FOREIGN:
            continue
        known = _definition(name)
        if known is None:
            yield f"no metric {name}"
            continue
        labels |= set(known)
        for label, _, value in MATCHER.findall(matchers):
            yield from _matcher(name, label, value)
    for names in GROUPING.findall(expression):
        yield from (f"no label {one}" for one in re.findall(r"\w+", names) if one not in labels)


def _definition(name: str) -> set[str] | None:
    for defined, one in DEFINITIONS.items():
        histogram = one.kind == "histogram"
        if name == defined if not histogram else SUFFIX.sub("", name) == defined and name != defined:
            return set(one.labels)
    return None


def _matcher(name: str, label: str, value: str) -> Iterator[str]:
    if label in ADDED or value.startswith("$"):
        return
    (one,) = [one for defined, one in DEFINITIONS.items() if defined in {name, SUFFIX.sub("", name)}]
    if label not in one.labels:
        yield f"{name} has no label {label}"
        return
    bound = one.labels[label]
    for word in value.split("|"):
        if isinstance(bound, frozenset) and not any(re.fullmatch(word, known) for known in bound):
            yield f"{name} has no {label} {word}"


def promtool(*arguments: str) -> subprocess.CompletedProcess[str]:
    if PROMTOOL is None:
        reason = "promtool is not installed: apt-get install prometheus"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return subprocess.run([PROMTOOL, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
