"""From the webhook to the POST to Twilio, everything on this machine, against a plain serial consumer."""

import sys
from typing import Any

from tests.bench.harness import Figure, bench
from tests.bench.path_world import AGENT_S, OURS, Path_, Seen, path, percentile

FLAT_OUT = 5_000
STEADY_S, STEADY_SHARE = 40.0, 0.5
COUNTED = 200
CALM_PER_S, CALM_S = 12.0, 40.0
PLAIN = 240
WARM, CROWD = 1, 2  # who writes
Json = dict[str, Any]


@bench
async def path_end_to_end() -> Figure:
    """Turns/s of 5,000 contacts, what we add to agent and Twilio, and what a turn costs."""
    async with path() as (driven, _):
        await driven.write(200, 200, 40, WARM)
        await driven.answered(200, 60)
        flat = _told("flat out", await _flat_out(driven))
        steady = _told("at half of that", await _steady(driven, flat["turns_per_s"] * STEADY_SHARE))
        few = _told("calm, few", await _calm(driven, 100))
        many = _told("calm, many", await _calm(driven, FLAT_OUT))
        memory = driven.memory_mb()
    async with path(plain=True) as (driven, _):
        plain = _told("plain", await _plain(driven))
    async with path(counted=True) as (driven, proxy):
        assert proxy
        await driven.write(20, 20, 20, WARM)
        await driven.answered(20, 60)
        proxy.commands.clear()
        await driven.write(COUNTED, COUNTED, 20, CROWD)
        answered = await driven.answered(COUNTED, 60)
        commands = {name: round(count / len(answered), 2) for name, count in proxy.commands.most_common()}
    return Figure(
        unit="turns/s, agent 3 s, Twilio 200 ms",
        ours=flat["turns_per_s"],
        other=plain["turns_per_s"],
        other_is="stock FastStream, one record of a partition after the other, a socket a question, no store",
        details={
            "contacts": FLAT_OUT,
            "flat_out": flat,
            "steady": steady,
            "calm": {"few": few, "many": many},
            "memory_mb": memory,
            "mongo_commands_a_turn": {"all": round(sum(commands.values()), 2), **commands},
            "plain": plain,
        },
    )


def _told(what: str, figures: Json) -> Json:
    """Minutes pass: say how far it is."""
    print(what, figures, file=sys.stderr, flush=True)  # noqa: T201
    return figures


async def _flat_out(driven: Path_) -> Json:
    """All write at once; the rate is that of the middle 80 % of the answers."""
    before = driven.cpu()
    accepted = await driven.write(FLAT_OUT, FLAT_OUT, 1_000, CROWD)
    seen = await driven.answered(accepted, 240)
    return {
        "accepted": accepted,
        "answered": len(seen),
        "turns_per_s": round(_rate(seen), 1),
        "cpu_ms_a_turn": _cpu_ms(before, driven.cpu(), len(seen)),
    }


async def _steady(driven: Path_, per_s: float) -> Json:
    """At half of the maximum: what we add beyond the agent. Twilio's own 200 ms begin with the POST."""
    count = int(per_s * STEADY_S)
    accepted = await driven.write(count, min(count, FLAT_OUT), per_s, CROWD)
    seen = await driven.answered(accepted, 120)
    return {"per_s": round(per_s, 1), "answered": len(seen), "accepted": accepted, **_added(seen)}


async def _calm(driven: Path_, contacts: int) -> Json:
    """The same rate over few and over many contacts."""
    before = driven.cpu()
    count = int(CALM_PER_S * CALM_S)
    accepted = await driven.write(count, contacts, CALM_PER_S, CROWD)
    seen = await driven.answered(accepted, 120)
    told = {"of_contacts": contacts, "per_s": CALM_PER_S, "answered": len(seen), **_added(seen)}
    return {**told, "cpu_ms_a_turn": _cpu_ms(before, driven.cpu(), len(seen))}


async def _plain(driven: Path_) -> Json:
    accepted = await driven.write(PLAIN, PLAIN, 1_000, CROWD)
    seen = await driven.answered(accepted, 180)
    return {"accepted": accepted, "answered": len(seen), "turns_per_s": round(_rate(seen), 2)}


def _rate(seen: list[Seen]) -> float:
    posted = sorted(one.posted for one in seen)
    tenth = len(posted) // 10
    middle = posted[tenth : len(posted) - tenth]
    return (len(middle) - 1) / (middle[-1] - middle[0]).total_seconds() if len(middle) > 1 else 0.0


def _added(seen: list[Seen]) -> Json:
    added = [(one.seconds - AGENT_S) * 1000 for one in seen]
    return {f"added_p{round(share * 100)}_ms": round(percentile(added, share), 1) for share in (0.5, 0.95, 0.99)}


def _cpu_ms(before: dict[str, float], after: dict[str, float], turns: int) -> Json:
    used = {name: round((after[name] - before[name]) / max(turns, 1) * 1000, 2) for name in after}
    return {**used, "ours": round(sum(used[name] for name in OURS), 2), "all": round(sum(used.values()), 2)}
