"""One thought, one answer: policies over a corpus of bursts. Arithmetic in simulated time; no machine plays a part."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from processor.thought import GAP_S, MOST_DRAFTS, Bubble, Habit, Patience, Quiet, habit_of, patience
from tests.bench.bursts import HELD_OUT, Thought, agent_s, corpus
from tests.bench.harness import Figure, bench

SIZE = 24_000
QUIET = Quiet()


@dataclass
class Tally:
    """What a policy did with one thought."""

    once: bool
    added_s: float
    """From the last bubble that the answer covers to the decision, the agent's own time not counted."""
    asked: int
    stale: int


Policy = Callable[[Sequence[Bubble], int, float, Habit], Patience]


@dataclass(frozen=True)
class Arm:
    policy: Policy
    drafts: int = MOST_DRAFTS
    """How many may become stale."""


def adaptive(bubbles: Sequence[Bubble], stale: int, waited_s: float, habit: Habit) -> Patience:
    return patience(bubbles, QUIET, stale=stale, waited_s=waited_s, habit=habit)


def fixed(seconds: float) -> Arm:
    """A timer that starts anew with each bubble, as most projects have it; nothing becomes stale."""
    return Arm(lambda *_: Patience(seconds, 0.0), drafts=0)


ARMS = {
    "adaptive (ours)": Arm(adaptive),
    "ask at once and supersede": Arm(lambda *_: Patience(0.0, 0.0)),
    "fixed timer 1 s": fixed(1),
    "fixed timer 2 s": fixed(2),
    "fixed timer 5 s": fixed(5),
}


@bench
async def one_thought() -> Figure:
    """% of thoughts that are answered once, on the held-out seed; every policy with its waits in the details."""
    scores = {name: score(arm, HELD_OUT) for name, arm in ARMS.items()}
    ours, other = scores["adaptive (ours)"], scores["ask at once and supersede"]
    return Figure(
        unit="% of thoughts answered once",
        ours=ours["once_percent"],
        other=other["once_percent"],
        other_is="asking at once, and superseding twice at most",
        details={"policies": scores, "thoughts": SIZE, "seed": HELD_OUT, "quiet_max_ms": QUIET.most_s * 1000},
    )


def score(arm: Arm, seed: int, size: int = SIZE) -> dict[str, float]:
    dice = random.Random(seed)
    thoughts = corpus(seed, size)
    rows = [(play(thought, arm, dice), len(thought.bubbles) > 1) for thought in thoughts]
    added = sorted(row.added_s for row, _ in rows)
    bursts = [row for row, several in rows if several]
    return {
        "once_percent": round(100 * sum(row.once for row, _ in rows) / len(rows), 2),
        "bursts_once_percent": round(100 * sum(row.once for row in bursts) / len(bursts), 2),
        "added_p50_ms": round(added[len(added) // 2] * 1000),
        "added_p95_ms": round(added[int(len(added) * 0.95)] * 1000),
        "added_max_ms": round(added[-1] * 1000),
        "agent_calls_per_thought": round(sum(row.asked for row, _ in rows) / len(rows), 3),
        "stale_drafts_per_thought": round(sum(row.stale for row, _ in rows) / len(rows), 3),
    }


def play(thought: Thought, arm: Arm, dice: random.Random) -> Tally:
    """The first answer to a thought, step by step as `Answering` goes."""
    at = [(one.at - thought.bubbles[0].at).total_seconds() for one in thought.bubbles]
    habit = habit_of(thought.before)
    count, taken, now, waited, asked, stale = len(at), 1, 0.0, 0.0, 0, 0
    while True:
        wanted = arm.policy(thought.bubbles[:taken], stale, waited, habit)
        ask_at = max(now, at[taken - 1] + wanted.ask_s)
        if taken < count and at[taken] <= ask_at:
            waited, now, taken = waited + at[taken] - now, at[taken], taken + 1
            continue
        waited += ask_at - now
        thinks = agent_s(dice)
        ready, asked = ask_at + thinks, asked + 1
        hold = arm.policy(thought.bubbles[:taken], stale, waited, habit).hold_s
        decided = max(ready, min(at[taken - 1] + GAP_S, ready + hold))
        if taken < count and at[taken] < decided and stale < arm.drafts:
            now, taken, stale = at[taken], taken + 1, stale + 1
            continue
        return Tally(taken == count, max(0.0, decided - at[taken - 1] - thinks), asked, stale)
