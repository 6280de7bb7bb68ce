"""No way out of this process: no network, no process, no file but Python's own. The standard library only.

Two walls. The kernel's, where it lets us: a network namespace with nothing in it, and files that cannot grow. And
Python's audit hooks (PEP 578), which cannot be taken away again and stand before every call that could have an effect.
They are for mistakes of ours, not against native code that means harm; there is none here.
"""

import ctypes
import os
import resource
import socket
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from importlib import import_module
from typing import Any

__all__ = ["Refused", "pin", "seal"]

CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000
EFFECTS = (
    *("socket.", "subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.system", "os.fork", "os.kill", "pty."),
    *("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.truncate", "os.ch", "os.utime"),
    *("os.setxattr", "os.removexattr", "os.startfile", "shutil.", "tempfile.", "signal.pthread_kill"),
    *(
        "urllib.",
        "http.client.",
        "ftplib.",
        "smtplib.",
        "poplib.",
        "imaplib.",
        "sqlite3.",
        "webbrowser.",
        "ctypes.",
        "syslog.",
    ),
)
# Effects that Python tells no hook of: module and function.
UNHEARD = (
    *(("os", "mkfifo"), ("os", "mknod"), ("signal", "pidfd_send_signal")),
    *(("_posixsubprocess", "fork_exec"), ("_posixshmem", "shm_open"), ("_posixshmem", "shm_unlink")),
)
WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
HARMLESS = {"/dev/null", "/dev/urandom", "/etc/localtime"}
Way = tuple[str, int]


class Refused(PermissionError):
    """An effect that a sealed process may not have."""


def seal(ways: Collection[Way] = ()) -> bool:
    """For the rest of this process's life. Whether the kernel took the network away, too.

    `ways`: addresses that may be connected to all the same; `pin` finds them.
    """
    alone = not ways and _without_network()
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))  # pipes are none
    _shut()
    sys.addaudithook(_hook(frozenset(ways)))
    return alone


def _shut() -> None:
    """Who imports them later finds them shut, too."""

    def refused(*_: Any, **__: Any) -> Any:
        raise Refused("the seal lets nothing out")

    for module, name in UNHEARD:
        with suppress(ImportError):  # not everywhere
            setattr(import_module(module), name, refused)


def pin(host: str, port: int) -> list[Way]:
    """Look a host up once: from now on no other can be looked up, and this one is always found here. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)

    def pinned(name: Any, service: Any, *_: Any, **__: Any) -> Any:
        known = name.decode() if isinstance(name, bytes) else name
        if (known, int(service or port)) != (host, port):
            raise Refused(f"the seal lets nobody look up {known}")
        return found

    socket.getaddrinfo = pinned  # type: ignore[assignment]  # it takes less, and refuses the rest
    return [(str(address[0]), int(address[1])) for *_, address in found]


def _without_network() -> bool:
    """Linux lets us where user namespaces are allowed, and only while there is one thread."""
    try:
        return bool(ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0)
    except (OSError, AttributeError):
        return False


def _hook(ways: frozenset[Way]) -> Callable[[str, tuple[Any, ...]], None]:
    roots = tuple(f"{one}{os.sep}" for one in {*_roots()})

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event == "open":
            _require_readable(roots, *args)
        elif event.startswith(EFFECTS) and not _inside(event, args, ways):
            raise Refused(f"the seal lets nothing out: {event}")

    return hook


def _inside(event: str, args: tuple[Any, ...], ways: frozenset[Way]) -> bool:
    """What an event loop needs for itself: a pair of sockets that nobody else has. And the pinned ways."""
    if event == "socket.__new__":
        return args[1] == socket.AF_UNIX or bool(ways)
    if event == "socket.connect":
        with suppress(TypeError, IndexError, ValueError):
            return (args[1][0], args[1][1]) in ways
    return False


def _require_readable(roots: tuple[str, ...], path: Any, mode: Any, flags: Any) -> None:
    if isinstance(path, int):  # a file that is open already: the pipes
        return
    name = os.fsdecode(path)
    writes = bool((flags or 0) & WRITES) or any(one in (mode or "") for one in "wax+")
    if writes and name != os.devnull:
        raise Refused("the seal lets no file be written")
    if name not in HARMLESS and not os.path.realpath(name).startswith(roots):
        raise Refused("the seal lets no file be read but Python's own")


def _roots() -> list[str]:
    """Where code lies. Not the caller's `.env`, and not another process's environment."""
    ours = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))  # noqa: PTH120
    packages = [os.path.join(ours, one) for one in ("processor", "kit", "schemas")]  # noqa: PTH118
    return [os.path.realpath(one) for one in (sys.prefix, sys.base_prefix, *packages)]
