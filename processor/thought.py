"""One thought, one answer: how long to wait for the next bubble. Pure; its score is the benchmark `one_thought`.

The agent thinks for seconds anyway. So it is asked soon, and what is waited for most of the time costs the client
nothing: an answer that is ready is held only as long as the last bubble looks as if more were to come, and a bubble
that comes meanwhile makes the draft stale instead of getting an answer of its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from itertools import pairwise

from processor.language import folded, words

__all__ = ["GAP_S", "MOST_DRAFTS", "Bubble", "Ending", "Habit", "Patience", "Quiet", "ending", "habit_of", "patience"]

KNOWN_GAPS = 3  # between earlier bubbles; fewer show no habit
MOST_DRAFTS = 2  # stale ones per turn; each costs an agent call, and a thought has an end

CONNECTORS = words(
    "y e o u pero que porque de del a al en con para por si mi la el los las un una es como cuando donde",
    "ademas sobre tambien entonces",
    "and or but that because so of to the my with for if is about also",
    "mas porem ou do da no na com um uma meu minha se quando entao",
)
GREETINGS = frozenset(
    {"hola", "buenas", "buenos dias", "buenas tardes", "buenas noches", "disculpe", "disculpa", "oye", "una pregunta"}
    | {"mira", "a ver", "hi", "hello", "hey", "good morning", "good afternoon", "good evening", "sorry", "one question"}
    | {"quick question", "oi", "ola", "bom dia", "boa tarde", "boa noite", "desculpe", "desculpa", "uma pergunta"}
)
CLOSINGS = frozenset(
    {"gracias", "muchas gracias", "saludos", "adios", "thanks", "thank you", "bye", "obrigada", "obrigado", "tchau"}
)
LAST_WORD = re.compile(r"([^\W\d_]+)\W*$")


class Ending(Enum):
    """How the last bubble looks."""

    FINISHED = "finished"
    """A question, or thanks."""
    SENTENCE = "sentence"
    """With its full stop."""
    PLAIN = "plain"
    """Words without a mark: on a phone most messages end so."""
    UNFINISHED = "unfinished"
    """A greeting, a picture, a trailing comma or `y`: more is on its way."""


@dataclass(frozen=True, slots=True)
class Bubble:
    text: str
    at: datetime
    kind: str = "text"


@dataclass(frozen=True, slots=True)
class Quiet:
    """What an installation decides; seconds."""

    unfinished_s: float = 0.9
    """The least wait after a bubble that looks unfinished (`QUIET_MS`)."""
    most_s: float = 6.0
    """No wait after a bubble is longer (`QUIET_MAX_MS`); over a whole thought all waits together are twice that."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds of silence after the last bubble."""

    ask_s: float
    """Before the agent is asked."""
    hold_s: float
    """How long an answer that is ready is held at most, while `GAP_S` are not over."""


class Habit(Enum):
    """How many bubbles a contact makes of a thought, as far as its earlier messages show."""

    SINGLE = 0
    UNKNOWN = 1
    BURSTS = 2


GAP_S = 4.0  # after so long a bubble belongs to no earlier one
LATER = 3
# By ending: seconds for a first bubble of a SINGLE, UNKNOWN or BURSTS contact and for a LATER bubble; and before the
# draft that nothing can make stale any more. Chosen on the training seed of `one_thought`; its score is of another.
ASK_S = {
    Ending.FINISHED: (0.0, 0.0, 0.9, 0.39),
    Ending.SENTENCE: (0.12, 0.31, 1.46, 0.34),
    Ending.PLAIN: (0.1, 0.0, 0.22, 0.32),
    Ending.UNFINISHED: (1.07, 1.33, 2.64, 2.87),
}
HOLD_S = {
    Ending.FINISHED: (0.38, 0.38, 0.9, 0.0),
    Ending.SENTENCE: (0.52, 1.43, 0.33, 1.42),
    Ending.PLAIN: (0.29, 1.9, 1.7, 1.64),
    Ending.UNFINISHED: (0.83, 0.6, 0.9, 0.93),
}
LAST_DRAFT_S = {Ending.FINISHED: 1.95, Ending.SENTENCE: 1.94, Ending.PLAIN: 4.0, Ending.UNFINISHED: 4.2}


def patience(
    bubbles: Sequence[Bubble], quiet: Quiet, *, stale: int = 0, waited_s: float = 0.0, habit: Habit = Habit.UNKNOWN
) -> Patience:
    """`stale` drafts of this thought were thrown away, and `waited_s` were waited, before its last bubble."""
    how, stage = ending(bubbles[-1]), LATER if len(bubbles) > 1 else habit.value
    ask_s = ASK_S[how][stage]
    if how is Ending.UNFINISHED:
        ask_s = max(ask_s, quiet.unfinished_s)
    if stale >= MOST_DRAFTS:
        ask_s = max(ask_s, LAST_DRAFT_S[how])
    most_s = max(0.0, min(quiet.most_s, 2 * quiet.most_s - waited_s))
    ask_s = min(ask_s, most_s)
    return Patience(ask_s, min(HOLD_S[how][stage], most_s - ask_s))


def habit_of(earlier: Sequence[datetime]) -> Habit:
    """From the moments of a contact's earlier bubbles, oldest first."""
    gaps = [(after - before).total_seconds() for before, after in pairwise(earlier)]
    if len(gaps) < KNOWN_GAPS:
        return Habit.UNKNOWN
    share = sum(gap <= GAP_S for gap in gaps) / len(gaps)
    return Habit.SINGLE if share < 0.2 else Habit.BURSTS if share > 0.34 else Habit.UNKNOWN


def ending(bubble: Bubble) -> Ending:
    if bubble.kind not in {"text", "interactive", "button", "list"}:
        return Ending.PLAIN if bubble.kind in {"audio", "location"} or bubble.text.strip() else Ending.UNFINISHED
    if bubble.kind != "text":
        return Ending.FINISHED
    text = folded(bubble.text.strip())
    if text.endswith(("...", "…", ",", ":", "-", ";")) or text.strip(" !.,👋") in GREETINGS:
        return Ending.UNFINISHED
    if text.endswith("?") or text.strip(" !.") in CLOSINGS:
        return Ending.FINISHED
    if text.endswith(("!", ".", ")")):
        return Ending.SENTENCE
    word = LAST_WORD.search(text)
    return Ending.UNFINISHED if word and word[1] in CONNECTORS else Ending.PLAIN
