"""What will happen in a run, drawn from a seed before it begins: the same seed, the same plan."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

__all__ = ["GROUPS", "Blow", "Bubble", "Plan", "TakeOver", "token"]

GROUPS = {
    "ingress": ("ingress",),
    "processor": ("processor", "processor-2"),
    "sender": ("sender", "sender-2"),
    "janitor": ("janitor",),
}
"""Members by consumer group; the ingress has none, but may be hit no more often."""
APART_S = 10.0  # between two blows on one group: a session timeout, a rebalance, and some work in between
PAUSE_S = {"processor": (7.0, 16.0), "sender": (7.0, 9.0)}
"""Beyond the session timeout. A sender wakes before its lease is over: what it would post later is not promised."""
What = Literal["kill", "pause", "leave", "store", "broker", "twilio", "agent"]
WEIGHTS: dict[What, float] = {
    "kill": 10,
    "pause": 2.5,
    "leave": 2,
    "store": 0.5,
    "broker": 0.5,
    "twilio": 2,
    "agent": 2,
}
LIKELY: dict[What, tuple[str, ...]] = {
    "kill": ("processor", "processor", "sender", "sender", "ingress", "janitor"),
    "pause": ("processor", "sender"),
    "leave": ("processor", "sender"),
    **{one: (one,) for one in ("store", "broker", "twilio", "agent")},
}
RARE_S = 40.0  # between two restarts of the store, or of the broker
ENDINGS = ("?", ".", "", ",", " y", "…", "!")
WORDS = (
    *("quisiera cambiar mi cita", "tengo una duda", "y otra cosa", "me duele la rodilla", "cuánto cuesta"),
    *("para mi hija", "el martes por la tarde", "perdón, el miércoles", "a qué hora abren", "gracias de antemano"),
)


def token(contact: int, number: int) -> str:
    """What an answer has to show of a message, so that the handset tells which messages it covers."""
    return f"c{contact}n{number}"


@dataclass(frozen=True, slots=True)
class Blow:
    at: float
    what: What
    target: str = ""
    seconds: float = 0.0
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Bubble:
    """`alone`: written only when the one before is acknowledged; else both may be on their way at once."""

    at: float
    number: int
    text: str
    alone: bool = True


@dataclass(frozen=True, slots=True)
class TakeOver:
    at: float
    contact: int
    stays: float
    speaks: bool


class Plan:
    def __init__(self, seed: int, seconds: float, contacts: int = 36, called: int = 6) -> None:
        """The first `called` contacts had a call, and write only after the greeting has had its time."""
        self._dice = random.Random(f"{seed} plan")
        self.seconds = seconds
        self.called = called
        self.blows = self._blows()
        self.scripts = [self._script(number, seed) for number in range(contacts)]
        self.take_overs = self._take_overs(contacts)

    def _blows(self) -> Sequence[Blow]:
        dice, blows = self._dice, list[Blow]()
        free_at: dict[str, float] = {}
        at = 5.0
        while (at := at + dice.uniform(0.5, 4.0)) < self.seconds:
            what = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
            free = [one for one in LIKELY[what] if at >= free_at.get(one, 0.0)]
            if not free:
                continue
            group = dice.choice(free)
            blow = self._blow(at, what, group)
            rare = what in {"store", "broker"}
            free_at[group] = at + blow.seconds + (RARE_S if rare else APART_S)
            blows.append(blow)
        return blows

    def _blow(self, at: float, what: What, group: str) -> Blow:
        dice = self._dice
        if what in {"twilio", "agent"}:
            return Blow(at, what, seconds=dice.uniform(4, 15), seed=dice.randrange(10**6))
        if what in {"store", "broker"}:
            return Blow(at, what, seconds=dice.uniform(0, 6))
        seconds = {"pause": PAUSE_S.get(group, (0, 0)), "leave": (1.0, 8.0)}.get(what, (0.0, 0.0))
        return Blow(at, what, dice.choice(GROUPS[group]), dice.uniform(*seconds))

    def _script(self, contact: int, seed: int) -> Sequence[Bubble]:
        """Thoughts of one to four bubbles, far enough apart that WhatsApp's limit of a pair is not what is tested."""
        dice = random.Random(f"{seed} contact {contact}")
        bubbles: list[Bubble] = []
        at = dice.uniform(40, 50) if contact < self.called else dice.uniform(0.5, 8)
        while at < self.seconds:
            alone = dice.random() < 0.7
            for position in range(dice.choice((1, 1, 1, 2, 3, 4))):
                number = len(bubbles) + 1
                text = f"{token(contact, number)} {dice.choice(WORDS)}{dice.choice(ENDINGS)}"
                bubbles.append(Bubble(at, number, text, alone or position == 0))
                at += dice.choice((0.02, 0.3, 1.0, 2.5))
            at += dice.uniform(6, 18)
        return bubbles

    def _take_overs(self, contacts: int) -> Sequence[TakeOver]:
        """Each contact at most once, while an answer is on its way; none of those with a call."""
        dice = self._dice
        chosen = dice.sample(range(self.called, contacts), min(contacts - self.called, int(self.seconds // 6)))
        return [TakeOver(self._mid_answer(one), one, dice.uniform(0.5, 20), dice.random() < 0.3) for one in chosen]

    def _mid_answer(self, contact: int) -> float:
        moments = [one.at for one in self.scripts[contact] if 10 < one.at < self.seconds * 0.9]
        return self._dice.choice(moments or [10.0]) + self._dice.uniform(0.1, 4)
