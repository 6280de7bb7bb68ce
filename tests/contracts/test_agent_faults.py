"""Reference §10.6 as a table: every trigger against the simulator, class, attempts, end and metric."""

import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from kit.metrics import Metrics
from processor.agent.client import AgentUnavailableError, Answer, PersistentAgent, Question
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.agent.timing import Timing
from sandbox.elevenlabs import AgentFixture, ElevenLabsSimulator
from sandbox.elevenlabs.steps import ClientTool, Drop, Error, Guardrail, Rule, Say, Silence, Step
from tests.conftest import FakeClock

QUICK = Timing(connect=2, init=1.5, greeting=0.2, first=1.5, settle=0.05, unsure=1, tool=0.3, close=0.1)
SECRET = "palabra-secreta"
pytestmark = pytest.mark.expects_errors


@pytest.fixture
async def sim() -> AsyncIterator[ElevenLabsSimulator]:
    async with ElevenLabsSimulator([AgentFixture(agent_id="a", brain="echo")], seed=7) as running:
        yield running


def row(name: str, expected: str, attempts: int, at: str = "", **do: Any) -> Any:
    """`attempts` in all before the client hears the apology (the safe reply, where it was blocked)."""
    return pytest.param(at, do, expected, attempts, id=name)


def http(name: str, kind: str, attempts: int, status: int, detail: str = "") -> Any:
    return row(name, kind, attempts, "handshake", kind="http", status=status, body={"detail": {"status": detail}})


def close(name: str, kind: str, attempts: int, code: int, reason: str = "", error: str = "", at: str = "") -> Any:
    frame = "nested" if error else "none"
    do = {"kind": "close", "code": code, "reason": reason, "error_type": error or None, "error_frame": frame}
    return row(name, kind, attempts, at or "before_reply", **do)


QUOTA = "This request exceeds your quota limit."
ROWS = [
    close("quota under 1002", "quota", 1, 1002, QUOTA),
    close("quota under 3000", "quota", 1, 3000, QUOTA),
    close("quota at the start", "quota", 1, 1002, QUOTA, at="init"),
    row("quota in a flat frame", "quota", 1, "before_reply", kind="close", reason=QUOTA, error_frame="flat"),
    *(http(f"quota with HTTP {code}", "quota", 1, code, "quota_exceeded") for code in (401, 402, 429)),
    close("3008", "capacity", 3, 3008),
    close("3008 at the start", "capacity", 3, 3008, at="init"),
    close("concurrency by its reason", "capacity", 3, 1002, "Too many concurrent conversations"),
    row("their queue", "capacity", 3, "init", kind="queue", wait_ms=1, then="timed_out"),
    http("429", "capacity", 3, 429, "too_many_concurrent_requests"),
    http("429 busy", "capacity", 3, 429, "system_busy"),
    close("3000", "config", 1, 3000, "Could not authorize the conversation.", at="init"),
    close("1008", "config", 1, 1008),
    *(
        close(name, "config", 1, 1008, error=name)
        for name in (
            "invalid_message",
            "value_error",
            "missing_fields",
            "telephony_agent_error",
            "mcp_https_error",
            "mcp_tool_error",
            "override_error",
            "missing_dynamic_variable",
            "missing_dynamic_variable_transfer",
        )
    ),
    *(http(f"HTTP {code}", "config", 1, code) for code in (400, 401, 403, 404, 422)),
    close("safety_violation", "blocked", 1, 1002, error="safety_violation"),
    close("1000 without a reply", "expired", 2, 1000),
    close("max_duration_exceeded", "expired", 2, 1000, error="max_duration_exceeded"),
    close("transport_receive_timeout", "expired", 2, 1002, error="transport_receive_timeout"),
    row("1006", "transient", 3, "before_reply", kind="abort"),
    row("1006 at the start", "transient", 3, "init", kind="abort"),
    row("no handshake", "transient", 3, "handshake", kind="abort"),
    close("1011", "transient", 3, 1011),
    close("1002", "transient", 3, 1002),
    *(
        close(name, "transient", 3, 1002, error=name)
        for name in (
            "llm_timeout",
            "llm_error",
            "custom_llm_error",
            "cascade_brain_error",
            "asyncio_timeout",
            "redis_timeout_error",
            "http_exception",
            "asr_error",
            "unknown",
        )
    ),
    *(http(f"HTTP {code}", "transient", 3, code) for code in (408, 500, 502, 503)),
    row("silence after the question", "timeout", 3, "before_reply", kind="blackhole"),
    row("question ignored", "timeout", 3, "before_reply", kind="ignore_user_message"),
    row("silence at the start", "timeout", 3, "init", kind="no_metadata"),
    row("silence after the handshake", "timeout", 3, "handshake", kind="accept_hang"),
    row("malformed frame", "protocol", 2, "before_reply", kind="malformed_json"),
    row("malformed first frame", "protocol", 2, "init", kind="malformed_json"),
    row("huge frame", "protocol", 2, "before_reply", kind="huge_frame", bytes=1_200_000),
    row("reset in the middle of the text", "transient", 1, "mid_stream", kind="abort"),
    row("silence in the middle of the text", "timeout", 1, "mid_stream", kind="stall_mid_stream", ms=5000),
]


class Told:
    """One question to the end of its story."""

    def __init__(self, sim: ElevenLabsSimulator) -> None:
        self.clock = FakeClock()
        self.metrics = Metrics()
        self.agent = ElevenLabsAgent(sim.url, "sk_sim", self.clock, timing=QUICK)

    async def ask(self) -> Answer | AgentUnavailableError:
        persistent = PersistentAgent(self.agent, self.clock, self.metrics)
        try:
            return await persistent.ask(Question("c1", "a", "+525512345678", f"{SECRET} uno dos"))
        except AgentUnavailableError as error:
            return error
        finally:
            await self.agent.stop()

    def counted(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("hilo_agent_attempts_total", {"result": result}) or 0


@pytest.mark.expects_errors
@pytest.mark.parametrize(("at", "do", "kind", "attempts"), ROWS)
async def test_a_fault_that_stays(
    sim: ElevenLabsSimulator, at: Any, do: dict[str, Any], kind: str, attempts: int, caplog: pytest.LogCaptureFixture
) -> None:
    fault = sim.fault(at=at, times=None, **do)
    told = Told(sim)
    end = await told.ask()
    assert isinstance(end, AgentUnavailableError)
    assert (end.kind, end.attempts, fault.fired) == (kind, attempts, attempts)
    assert told.counted(kind) == attempts
    level = "error" if kind in {"quota", "config"} else "warning"
    written = caplog.text
    assert level in written
    assert SECRET not in written + end.reason


@pytest.mark.parametrize(("at", "do", "kind", "attempts"), [one for one in ROWS if cast("int", one.values[3]) > 1])
async def test_a_fault_that_passes(
    sim: ElevenLabsSimulator, at: Any, do: dict[str, Any], kind: str, attempts: int
) -> None:
    sim.fault(at=at, times=1, **do)
    told = Told(sim)
    end = await told.ask()
    assert isinstance(end, Answer)
    assert (end.messages, end.attempts) == ([f"{SECRET} uno dos"], 2)
    assert (told.counted(kind), told.counted("answered")) == (1, 1)
    (pause,) = told.clock.slept
    assert pause == 0 if kind == "expired" else 2 <= pause <= 2.4


STARTED = [
    pytest.param([Say(text="Uno."), Drop()], ["Uno."], "replied", id="reset after a segment"),
    pytest.param([Say(text="Uno."), Error(error_type="llm_error")], ["Uno."], "replied", id="error after a segment"),
    pytest.param([Say(text="Uno."), Silence()], ["Uno."], "replied", id="silence after a segment"),
    pytest.param([ClientTool(name="escalate_to_human"), Drop()], [], "escalated", id="reset after an escalation"),
]


@pytest.mark.parametrize(("steps", "messages", "outcome"), STARTED)
async def test_once_it_answers_it_is_never_asked_again(
    sim: ElevenLabsSimulator, steps: list[Step], messages: list[str], outcome: str
) -> None:
    sim.agent("a").brain, sim.agent("a").rules = "rules", [Rule(match="", steps=steps)]
    end = await Told(sim).ask()
    assert isinstance(end, Answer)
    assert (end.messages, end.outcome, end.attempts) == (messages, outcome, 1)
    assert sim.world.stats.counts["user_messages"] == 1


@pytest.mark.parametrize("steps", [[Guardrail()], [ClientTool(name="x"), Drop()]], ids=["guardrail", "after a tool"])
async def test_stopped_before_a_word(sim: ElevenLabsSimulator, steps: list[Step]) -> None:
    sim.agent("a").brain, sim.agent("a").rules = "rules", [Rule(match="", steps=steps)]
    end = await Told(sim).ask()
    assert isinstance(end, AgentUnavailableError)
    assert (end.kind, end.attempts) == ("blocked" if len(steps) == 1 else "transient", 1)


async def test_what_is_missing_is_named(sim: ElevenLabsSimulator) -> None:
    sim.agent("a").required_variables = ["plan"]
    end = await Told(sim).ask()
    assert isinstance(end, AgentUnavailableError)
    assert end.reason == "config in init: missing_dynamic_variable (plan)"


async def test_a_ping_may_come_before_the_metadata(sim: ElevenLabsSimulator) -> None:
    sim.fault("wrong_first_frame", "init")
    assert isinstance(await Told(sim).ask(), Answer)


async def test_retry_after_is_honoured(sim: ElevenLabsSimulator) -> None:
    body = json.dumps({"detail": {"status": "system_busy"}})
    sim.fault("http", "handshake", status=429, body=body, retry_after=9)
    told = Told(sim)
    assert isinstance(await told.ask(), Answer)
    assert told.clock.slept == [9]
