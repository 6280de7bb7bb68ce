"""What an agent can do in a turn. A rule of an agent fixture is a list of these, as JSON or as objects."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "ClientTool",
    "Close",
    "Correct",
    "Delay",
    "Drop",
    "EndCall",
    "Error",
    "Guardrail",
    "HumanConnect",
    "HumanDisconnect",
    "HumanSay",
    "Later",
    "RepeatLast",
    "Rule",
    "Say",
    "ServerTool",
    "Silence",
    "SkipTurn",
    "Step",
    "TransferAgent",
]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Say(_Model):
    """One segment: an `agent_response`, with streamed parts around it if the agent has that event."""

    do: Literal["say"] = "say"
    text: str
    stream: bool | None = None
    chunk_ms: float | None = None


class Delay(_Model):
    do: Literal["delay"] = "delay"
    ms: float


class ClientTool(_Model):
    """A `client_tool_call`; its answer is `{{result}}` for the steps after it."""

    do: Literal["client_tool"] = "client_tool"
    name: str
    params: dict[str, Any] = {}
    expects_response: bool = True
    timeout_s: float = 20.0


class ServerTool(_Model):
    """A tool that runs in their cloud: visible only as `agent_tool_request` and `agent_tool_response`."""

    do: Literal["server_tool"] = "server_tool"
    name: str
    ms: float = 0.0
    is_error: bool = False


class EndCall(_Model):
    do: Literal["end_call"] = "end_call"


class SkipTurn(_Model):
    do: Literal["skip_turn"] = "skip_turn"


class TransferAgent(_Model):
    do: Literal["transfer_agent"] = "transfer_agent"
    agent_id: str


class HumanConnect(_Model):
    do: Literal["human_connect"] = "human_connect"


class HumanSay(_Model):
    do: Literal["human_say"] = "human_say"
    text: str


class HumanDisconnect(_Model):
    do: Literal["human_disconnect"] = "human_disconnect"


class Correct(_Model):
    """Replaces the last segment by an `agent_response_correction`."""

    do: Literal["correct"] = "correct"
    text: str


class Guardrail(_Model):
    do: Literal["guardrail"] = "guardrail"


class Error(_Model):
    """An error frame of this type and the close code that belongs to it."""

    do: Literal["error"] = "error"
    error_type: str


class Close(_Model):
    do: Literal["close"] = "close"
    code: int = 1000
    reason: str = ""


class Drop(_Model):
    """TCP reset: the client sees 1006."""

    do: Literal["drop"] = "drop"


class Silence(_Model):
    """The turn ends here with nothing at all, not even `agent_response_complete`."""

    do: Literal["silence"] = "silence"


class Later(_Model):
    """An unsolicited `agent_response` some time after the turn."""

    do: Literal["later"] = "later"
    ms: float
    say: str


class RepeatLast(_Model):
    """Re-sends the last segment with the same `response_id`."""

    do: Literal["repeat_last"] = "repeat_last"


Step = Annotated[
    Say
    | Delay
    | ClientTool
    | ServerTool
    | EndCall
    | SkipTurn
    | TransferAgent
    | HumanConnect
    | HumanSay
    | HumanDisconnect
    | Correct
    | Guardrail
    | Error
    | Close
    | Drop
    | Silence
    | Later
    | RepeatLast,
    Field(discriminator="do"),
]


class Rule(_Model):
    """The first rule wins whose `match` is found in the text, with or without its accents, case ignored.

    `needs` names values (`summary`, `customer_name`, …) without which the rule is passed over. Texts may
    hold `{{name}}`: any dynamic variable, and what `brains.Turn.values` lists.
    """

    match: str
    steps: list[Step]
    needs: list[str] = []
