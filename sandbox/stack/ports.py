"""Ports on 127.0.0.1: which are free, and whether one is taken."""

import socket
from contextlib import ExitStack

from sandbox.stack.errors import StackError

HOST = "127.0.0.1"
CONNECT_TIMEOUT_S = 0.5  # local: an answer comes at once or never


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that nothing listens on; nothing reserves them until they are bound."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


def port_taken(port: int) -> bool:
    """Tell whether something listens on the port; a connection in TIME_WAIT does not count."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return True
    # macOS lets SO_REUSEADDR bind beside a listener on 0.0.0.0: ask as a client would.
    with socket.socket() as client:
        client.settimeout(CONNECT_TIMEOUT_S)
        return client.connect_ex((HOST, port)) == 0


def require_free(port: int, *, purpose: str, setting: str) -> None:
    """Raise `StackError` naming the port and the setting when the port is taken."""
    if port_taken(port):
        raise StackError(
            f"Port {port} for {purpose} is in use: stop what listens there, or choose another with {setting}."
        )
