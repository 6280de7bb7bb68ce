"""What the kernel says of a process."""

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Footprint", "cpu_s", "footprint"]

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Footprint:
    memory_mb: float
    handles: int
    sockets: int
    threads: int


def footprint(pid: int) -> Footprint:
    """Raises OSError when there is no such process."""
    links = [_link(one) for one in Path(f"/proc/{pid}/fd").iterdir()]
    resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    return Footprint(
        memory_mb=round(resident / 2**20, 1),
        handles=len(links),
        sockets=sum(link.startswith("socket:") for link in links),
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
    )


def cpu_s(pid: int) -> float:
    """User and system time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _link(handle: Path) -> str:
    try:
        return str(handle.readlink())
    except OSError:  # closed meanwhile
        return ""
