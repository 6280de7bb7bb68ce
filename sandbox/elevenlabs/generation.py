"""One answer of the agent: the brain's steps, one after the other, as frames."""

import asyncio
import contextlib
import json
from typing import Any

from sandbox.elevenlabs import frames, steps
from sandbox.elevenlabs.brains import Turn, fill, think
from sandbox.elevenlabs.errors import Refusal
from sandbox.elevenlabs.faults import Action, Moment
from sandbox.elevenlabs.mischief import commit
from sandbox.elevenlabs.speech import Speech
from sandbox.elevenlabs.stage import Stage

__all__ = ["Generation"]


class _TurnOver(Exception):  # not an error: the rest of the steps does not happen
    """`complete` tells whether the client still gets `agent_response_complete`."""

    def __init__(self, *, complete: bool) -> None:
        self.complete = complete


class Generation:
    """Lives from a user message to `agent_response_complete`; a newer user message interrupts it."""

    def __init__(self, session: Stage, text: str, moment: Moment, modifiers: list[Action]) -> None:
        self._session = session
        self._moment = moment
        self._event_id = session.event_id
        self._turn = Turn(
            text=text,
            conversation_id=session.conversation_id,
            message=session.messages,
            contexts=dict(session.contexts),
            variables=session.init.variables if session.init else {},
            history=tuple(session.history),
            rules=session.agent.rules,
        )
        self._modifiers = {action.kind: action for action in modifiers}
        self._speech = Speech(session, self._event_id, modifiers, lambda: self._misbehave("mid_stream"))
        self._tools: dict[str, asyncio.Future[tuple[str, bool]]] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._session.timers.after(self._session.agent.llm_timeout_s, self._on_llm_timeout, "llm")
        self._task = asyncio.create_task(self._run())

    def cancel(self) -> None:
        if self._task:
            self._task.cancel()

    def interrupt(self) -> None:
        """The user spoke: stop, and say how much of the answer was said."""
        self.cancel()
        session = self._session
        session.world.stats.counts["interruptions"] += 1
        session.emit(frames.interruption(self._event_id))
        self._speech.cut_short()

    def on_tool_result(self, call_id: str, result: str, *, is_error: bool) -> bool:
        """False if no such call is pending."""
        waiting = self._tools.pop(call_id, None)
        if waiting is None or waiting.done():
            return False
        waiting.set_result((result, is_error))
        return True

    # -- the run -----------------------------------------------------------------------------

    async def _run(self) -> None:
        complete = True
        try:
            await self._pause(self._session.draw("first_event"))
            for step in think(self._session.agent.brain, self._turn):
                await getattr(self, f"_{step.do}")(step)  # every step has a method of its name
            self._misbehave("after_reply")
        except _TurnOver as over:
            complete = over.complete
        with contextlib.suppress(_TurnOver):
            await self._end(complete=complete)

    async def _end(self, *, complete: bool) -> None:
        self._session.timers.disarm("llm")
        if complete and not self._session.agent.omit_complete:
            await self._pause(self._session.draw("complete"))
            self._speech.emit(frames.complete(self._event_id))
        self._speech.flush_reordered()
        self._session.on_generated(self)

    async def _pause(self, ms: float) -> None:
        slow = self._modifiers.get("slow")
        await self._session.world.clock.sleep(ms * (slow.factor if slow else 1.0) / 1000)

    def _misbehave(self, point: str) -> None:
        for action in self._session.world.faults.take(self._moment, point, modifiers=False):
            if commit(self._session, action):
                raise _TurnOver(complete=False)

    def _on_llm_timeout(self) -> None:
        self._session.refuse(Refusal.of("llm_timeout", "LLM did not answer within 20 seconds."))

    def _fill(self, text: str) -> str:
        return fill(text, self._turn.values()) if "{{" in text else text

    # -- the steps -----------------------------------------------------------------------------

    async def _say(self, step: steps.Say) -> None:
        if self._speech.segments:
            self._misbehave("between_segments")
        self._session.timers.disarm("llm")
        stall = self._modifiers.pop("stall_mid_stream", None)
        chunk_ms = step.chunk_ms if step.chunk_ms is not None else self._session.draw("chunk")
        text = self._fill(step.text)
        await self._speech.say(text, step.stream, lambda: self._pause(chunk_ms), stall.ms if stall else 0)

    async def _delay(self, step: steps.Delay) -> None:
        await self._pause(step.ms)

    async def _client_tool(self, step: steps.ClientTool) -> None:
        session = self._session
        session.timers.disarm("llm")
        call_id = session.world.new_id("tc")
        params = json.loads(self._fill_json(step.params))
        call = frames.client_tool_call(
            step.name, call_id, params, self._event_id, expects_response=step.expects_response
        )
        session.world.stats.counts["tool_calls"] += 1
        if session.record:
            shown = [{"tool_name": step.name, "request_id": call_id, "params_as_json": json.dumps(params)}]
            session.record.say("agent", "", session.world.clock.unix(), tool_calls=shown)
        waiting: asyncio.Future[tuple[str, bool]] = asyncio.get_running_loop().create_future()
        self._tools[call_id] = waiting
        session.emit(call)
        if not step.expects_response:
            return
        limit = session.world.clock.call_later(
            step.timeout_s, lambda: self.on_tool_result(call_id, "timed out", is_error=True)
        )
        result, is_error = await waiting
        limit.cancel()
        self._turn.result = result
        self._tool_answered(step.name, call_id, "client", is_error=is_error)

    async def _server_tool(self, step: steps.ServerTool) -> None:
        call_id = self._session.world.new_id("tc")
        self._session.emit(frames.agent_tool_request(step.name, call_id, "webhook", self._event_id))
        await self._pause(step.ms)
        self._tool_answered(step.name, call_id, "webhook", is_error=step.is_error)

    def _tool_answered(self, name: str, call_id: str, kind: str, *, is_error: bool = False) -> None:
        self._session.emit(frames.agent_tool_response(name, call_id, kind, self._event_id, is_error=is_error))

    async def _end_call(self, _: steps.EndCall) -> None:
        self._tool_answered("end_call", self._session.world.new_id("tc"), "system")
        self._session.refuse(Refusal(1000, "Agent ended the conversation."))
        raise _TurnOver(complete=False)

    async def _skip_turn(self, _: steps.SkipTurn) -> None:
        self._tool_answered("skip_turn", self._session.world.new_id("tc"), "system")
        raise _TurnOver(complete=True)

    async def _transfer_agent(self, step: steps.TransferAgent) -> None:
        self._tool_answered("transfer_to_agent", self._session.world.new_id("tc"), "system")
        target = self._session.world.agents.get(step.agent_id)
        known = self._session.init.variables if self._session.init else {}
        if target is None or any(name not in known for name in target.required_variables):
            reason = f"Missing required dynamic variables for agent {step.agent_id}"
            self._session.refuse(Refusal.of("missing_dynamic_variable_transfer", reason))
            raise _TurnOver(complete=False)
        self._session.agent = target

    async def _human_connect(self, _: steps.HumanConnect) -> None:
        self._session.emit(frames.human("external_agent_connected"))

    async def _human_say(self, step: steps.HumanSay) -> None:
        self._session.emit(frames.human("agent_typing", is_typing=True, duration_ms=3000))
        await self._speech.say(self._fill(step.text), stream=False, pause=_no_pause, stall_ms=0)

    async def _human_disconnect(self, _: steps.HumanDisconnect) -> None:
        self._session.emit(frames.human("external_agent_disconnected"))

    async def _correct(self, step: steps.Correct) -> None:
        self._speech.correct(self._fill(step.text))

    async def _guardrail(self, _: steps.Guardrail) -> None:
        self._session.emit({"type": "guardrail_triggered"})
        self._session.refuse(Refusal.of("safety_violation", "Conversation ended by a guardrail."))
        raise _TurnOver(complete=False)

    async def _error(self, step: steps.Error) -> None:
        self._session.refuse(Refusal.of(step.error_type))
        raise _TurnOver(complete=False)

    async def _close(self, step: steps.Close) -> None:
        self._session.refuse(Refusal(step.code, step.reason))
        raise _TurnOver(complete=False)

    async def _drop(self, _: steps.Drop) -> None:
        self._session.socket.abort()
        raise _TurnOver(complete=False)

    async def _silence(self, _: steps.Silence) -> None:
        raise _TurnOver(complete=False)

    async def _later(self, step: steps.Later) -> None:
        session, text = self._session, self._fill(step.say)
        session.timers.after(step.ms / 1000, lambda: session.say_unasked(text), f"later_{session.world.new_id('l')}")

    async def _repeat_last(self, _: steps.RepeatLast) -> None:
        self._speech.repeat()

    def _fill_json(self, params: dict[str, Any]) -> str:
        values = {name: json.dumps(value, ensure_ascii=False)[1:-1] for name, value in self._turn.values().items()}
        return fill(json.dumps(params, ensure_ascii=False), values)


async def _no_pause() -> None: ...
