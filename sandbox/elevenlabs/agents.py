"""Agent fixtures: how one simulated agent is configured, and the one that ships."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sandbox.elevenlabs.latency import CALM, Latency
from sandbox.elevenlabs.steps import Rule

__all__ = ["AgentFixture", "Limits", "Ping", "Queueing", "sandbox_agent"]

# What a server sends if the agent sets no list: SCH 1523-1528. Setting the list replaces it.
CHAT_EVENTS = [
    "conversation_initiation_metadata",
    "ping",
    "agent_response",
    "agent_response_complete",
    "agent_chat_response_part",
    "agent_response_correction",
    "client_tool_call",
    "agent_tool_response",
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Limits(_Model):
    """Conversations at once; -1 is no limit. The workspace limits count over all agents."""

    workspace_voice: int = 20
    workspace_chat: int = 500
    agent: int = -1
    daily: int = 100_000


class Queueing(_Model):
    enabled: bool = False
    wait_timeout_s: float = 30.0
    waiting_delay_ms: float = 0.0
    """The `waiting` frame may come after metadata and even after the first message: how long after."""


class Ping(_Model):
    """Real time, also under a virtual clock. `every_s` 0 sends none."""

    every_s: float = 2.0
    max_missed: int = 5


class AgentFixture(_Model):
    """Everything the simulator knows about an agent. Durations of `_s` run on the simulator's clock."""

    agent_id: str
    name: str = ""
    api_keys: list[str] = ["sk_sim"]
    public: bool = False
    first_message: str = ""
    first_message_delay_ms: float = 0.0
    first_message_race: Literal["interrupt", "swallow", "skip"] = "interrupt"
    """What an early `user_message` does to a first message that is not yet out; `swallow` loses the user's."""
    language: str = "es"
    prompt: str = ""
    text_only: bool = False
    allow_overrides: list[str] = ["conversation.text_only", "agent.first_message"]
    required_variables: list[str] = []
    allow_workflow_fields: bool = False
    client_events: list[str] = Field(default_factory=lambda: list(CHAT_EVENTS))
    emission: Literal["parts_then_response", "response_before_stop", "response_only"] = "parts_then_response"
    omit_complete: bool = False
    response_ids: bool = True
    strict: bool = False
    """Unknown override keys close the conversation instead of being a warning."""
    max_duration_seconds: float = 600.0
    max_duration_message: str = ""
    turn_timeout: float | None = None
    turn_timeout_message: str = "¿Sigues ahí?"
    idle_receive_timeout_s: float | None = 60.0
    idle_reset_on: Literal["any_frame", "user_input_or_activity", "user_input"] = "any_frame"
    llm_timeout_s: float = 20.0
    init_timeout_s: float = 10.0
    handshake_hold_ms: float = 200.0
    analysis_delay_s: float = 2.0
    enterprise: bool = False
    max_files: int = 10
    limits: Limits = Field(default_factory=Limits)
    queueing: Queueing = Field(default_factory=Queueing)
    ping: Ping = Field(default_factory=Ping)
    brain: Literal["echo", "counter", "recall", "rules"] = "rules"
    rules: list[Rule] | None = None
    """For the `rules` brain; `None` is the Spanish set that ships."""
    latency: Latency = Field(default_factory=Latency)


def sandbox_agent(*, calm: bool = False, api_keys: list[str] | None = None) -> AgentFixture:
    """`agent_sandbox`, the agent of the demo: Spanish, rules; `calm` thinks as long as a real one might."""
    return AgentFixture(
        agent_id="agent_sandbox",
        name="Eva (sandbox)",
        api_keys=api_keys or ["sk_sim"],
        first_message="Hola, soy Eva. ¿En qué puedo ayudarte?",
        prompt="Eres Eva y hablas con los clientes de la clínica. Canal: {{system__is_text_only}}.",
        limits=Limits(workspace_voice=500, workspace_chat=20_000),
        ping=Ping(every_s=5.0),  # 5,000 idle conversations at 2 s would be 2,500 pings and pongs a second
        latency=CALM if calm else Latency(),
    )
