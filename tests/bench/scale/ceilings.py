"""Where each thing ends, left as it is: the day that needs all of one plan, number, primary, or 24 partitions."""

from dataclasses import dataclass

from tests.bench.scale.costs import Costs, World
from tests.bench.scale.plan import plan

__all__ = ["Ceiling", "ceilings"]

MILLION = 1_000_000
PARTITIONS = "another number of partitions, from the beginning (`hilo topics create --partitions N`)"


@dataclass(frozen=True)
class Ceiling:
    what: str
    limit: str
    conversations: float
    """A day."""
    turn: str
    """What helps."""


def ceilings(cost: Costs, world: World) -> list[Ceiling]:
    """Nearest first."""
    return sorted([*_agent(cost, world), *_twilio(cost, world), *_ours(cost, world)], key=lambda one: one.conversations)


def _agent(cost: Costs, world: World) -> list[Ceiling]:
    kept, lean = plan(MILLION, cost, world), plan(MILLION, cost, world, keep=False)
    chats, calls = world.sessions * world.share, world.calls * world.share
    chat_limit = f"{world.share:.0%} of {world.sessions} chats"
    call_limit = f"{world.share:.0%} of {world.calls} voice places, {world.handshake * 1000:.0f} ms each"
    processes = f"24 processes, {world.handshakes} at once in each, {world.handshake * 1000:.0f} ms"
    return [
        Ceiling(
            "ElevenLabs, every socket kept", chat_limit, _day(chats, kept.sockets), "nothing has to be kept: see below"
        ),
        Ceiling(
            "ElevenLabs, a socket a turn: chats",
            chat_limit,
            _day(chats, lean.sockets),
            "a higher limit (Enterprise); a second workspace is a second installation",
        ),
        Ceiling(
            "ElevenLabs, a socket a turn: handshakes",
            call_limit,
            _day(calls, lean.fresh * world.handshake),
            "a higher limit; sockets kept (`AGENT_MAX_SESSIONS`)",
        ),
        Ceiling(
            "processor, a socket a turn: handshakes",
            processes,
            _day(24 * world.handshakes * world.busy, lean.fresh * world.handshake),
            "sockets kept (`AGENT_MAX_SESSIONS`); else " + PARTITIONS,
        ),
    ]


def _twilio(cost: Costs, world: World) -> list[Ceiling]:
    posts = plan(MILLION, cost, world).posts
    number, account = world.number_per_s * world.number_share, world.account_per_s * world.number_share
    return [
        Ceiling(
            "Twilio: a number",
            f"{world.number_share:.0%} of {world.number_per_s:g} messages/s",
            _day(number, posts),
            "more numbers in `TWILIO_WHATSAPP_NUMBERS`; 400/s for text on request (`SENDS_PER_S`)",
        ),
        Ceiling(
            "Twilio: the account",
            f"{world.number_share:.0%} of {world.account_per_s:,.0f} messages/s",
            _day(account, posts),
            "a second account is a second installation",
        ),
    ]


def _ours(cost: Costs, world: World) -> list[Ceiling]:
    one = plan(MILLION, cost, world)
    cores = f"24 processes at {world.busy:.0%} of a core"
    return [
        Ceiling("processor: CPU", cores, _day(24 * world.busy, one.peak * cost.processor), PARTITIONS),
        Ceiling("sender: CPU", cores, _day(24 * world.busy, one.peak * cost.sender * world.parts), PARTITIONS),
        Ceiling(
            "MongoDB: a primary",
            f"{world.primary_per_s:,.0f} commands/s (assumed)",
            _day(world.primary_per_s, one.commands),
            "a larger machine, then cells",
        ),
    ]


def _day(there: float, a_million_needs: float) -> float:
    return MILLION * there / a_million_needs
