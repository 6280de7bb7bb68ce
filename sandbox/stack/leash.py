"""Runs a command that dies with the process that started it, however that one ends.

Run as a file, so that nothing of ours is imported: `python -I -S leash.py PARENT_PID LIFELINE command …`.
LIFELINE is `-` on Linux, where the kernel does the watching. Elsewhere it is the read end of a pipe whose write end
only the parent holds: end of file means that the parent is gone, and a forked watcher then kills the whole group.
"""

import os
import select
import signal
import sys

PR_SET_PDEATHSIG = 1
LOOK_AROUND_S = 1.0  # how soon the watcher notices that its command has ended
CANNOT_RUN = 127  # what a shell answers for a command that it cannot start


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL when the forking *thread* ends; it survives the exec that follows."""
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)


def watch(lifeline: int) -> None:
    """Fork a watcher into our own process group: at end of file it kills the group, itself included."""
    command = os.getpid()
    if os.fork():
        os.close(lifeline)
        return
    while os.getppid() == command:
        if select.select([lifeline], [], [], LOOK_AROUND_S)[0]:
            os.killpg(os.getpgrp(), signal.SIGKILL)
    os._exit(0)


def main(arguments: list[str]) -> None:
    parent, lifeline, *command = arguments
    if lifeline == "-":
        die_with_parent()
    else:
        watch(int(lifeline))
    if os.getppid() != int(parent):  # it died before the kernel was asked
        sys.exit(CANNOT_RUN)
    try:
        os.execv(command[0], command)  # noqa: S606 - being replaced by the command is the purpose
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        sys.exit(CANNOT_RUN)


if __name__ == "__main__":
    main(sys.argv[1:])
