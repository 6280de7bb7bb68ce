"""Carries out a fault on a session's wire."""

from sandbox.elevenlabs import frames
from sandbox.elevenlabs.errors import Refusal
from sandbox.elevenlabs.faults import Action
from sandbox.elevenlabs.stage import Stage

__all__ = ["commit"]

_ENDS = frozenset({"close", "abort", "blackhole", "accept_hang", "no_metadata"})


def commit(session: Stage, action: Action) -> bool:
    """Do it, `ms` later if given. True: nothing normal follows any more, the caller stops."""
    session.note("fault", action.kind)
    delayed = action.ms > 0 and action.kind not in ("accept_hang", "stall_mid_stream")
    session.timers.after(action.ms / 1000 if delayed else 0, lambda: _carry_out(session, action), f"fault_{id(action)}")
    return action.kind in _ENDS and not delayed


def _carry_out(session: Stage, action: Action) -> None:
    kind = action.kind
    if kind == "close":
        session.refuse(Refusal(action.code, action.reason, action.error_type, action.error_frame))
    elif kind == "abort":
        session.socket.abort()
    elif kind in ("blackhole", "accept_hang", "no_metadata"):
        _go_silent(session, whole=kind == "blackhole")
    elif kind == "wrong_first_frame":
        session.emit(frames.ping(0))
    elif kind == "malformed_json":
        session.send('{"type":"agent_response","agent_response_event":{"agent_resp')
    elif kind == "unknown_type":
        session.send('{"type":"vad_score_v9","vad_score_v9_event":{"vad_score":0.9}}')
    elif kind == "huge_frame":
        session.send('{"type":"internal_debug","padding":"' + "x" * action.bytes + '"}')


def _go_silent(session: Stage, *, whole: bool) -> None:
    """Say nothing more. `whole`: not even what keeps a WebSocket alive."""
    if whole:
        session.socket.mute()
    session.go_deaf()
