"""How long the agent is waited for. Where it comes from: reference §10.5; U = unknown there, a choice of ours."""

from dataclasses import dataclass

__all__ = ["Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """All in seconds. One object, so that tests can hurry all of it."""

    connect: float = 5
    init: float = 10
    greeting: float = 3
    """For the greeting of an agent that does not let us switch it off."""
    first: float = 25  # their LLM gives up after 20
    settle: float = 1.2
    """After the last text of an agent that does not say when it has finished."""
    unsure: float = 6
    """The same for an agent that has not shown yet whether it says so: once for each agent and process (U)."""
    tool: float = 20
    """For one tool of theirs, and for the end of an answer whose agent is known to announce it."""
    close: float = 2
    turn: float = 45
    idle: float = 120
    """A socket that nobody used for so long is closed."""
    age: float = 540  # theirs end at 600 unless set otherwise
    activity: float = 20  # theirs may end after 60 without input
    watchdog: float = 60
    """No frame for so long on an idle socket: it is dead (elevenlabs-swift-sdk#131)."""
    drain: float = 20
    sweep: float = 1
