"""A turn handler with its real pieces, on whatever stands for the store, the agent and Kafka."""

from collections.abc import Callable
from typing import Any

from kit.service import Tools
from processor.agent.client import AgentClient
from processor.answering import Answering
from processor.drafting import Drafting
from processor.drafts import Policy
from processor.hearing import Hearing
from processor.identity import Links
from processor.looking import Looking
from processor.thought import Quiet
from processor.turns import TurnHandler
from tests.unit.processor.states import POLICY

__all__ = ["NoSends", "drafting", "handler"]


class NoSends:
    """Stands for the sender's rows: it has posted nothing yet."""

    async def sends(self, _ids: list[str]) -> dict[str, Any]:
        return {}

    async def confirmed(self, _contact: str) -> None:
        return None

    async def send_with(self, _sid: str) -> None:
        return None


def drafting(
    repository: Any,
    agent: AgentClient,
    tools: Tools,
    *,
    policy: Policy = POLICY,
    reads: Any = None,
    hearing: Hearing | None = None,
    quiet: Quiet | None = None,
    forget: Callable[[str], None] | None = None,
    calls: Any = None,
) -> Drafting:
    answering = Answering(agent, tools.clock, quiet or Quiet(), lambda: tools.metrics.count("hilo_drafts_stale_total"))
    rows: Any = reads or NoSends()
    looking = Looking(repository, rows, hearing)
    return Drafting(repository, answering, looking, policy, tools.clock, calls=calls, forget=forget or agent.drop)


def handler(repository: Any, agent: AgentClient, outlet: Any, tools: Tools, **more: Any) -> TurnHandler:
    policy = more.pop("policy", POLICY)
    pieces = drafting(repository, agent, tools, policy=policy, **more)
    return TurnHandler(repository, pieces, outlet, policy, Links(repository, outlet), tools)
