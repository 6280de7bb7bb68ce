"""A simulator of ElevenLabs Agents: `python -m sandbox.elevenlabs --help`, or `ElevenLabsSimulator` in a test."""

from sandbox.elevenlabs.agents import AgentFixture, Limits, Ping, Queueing, sandbox_agent
from sandbox.elevenlabs.calls import PhoneCall
from sandbox.elevenlabs.clock import SimClock
from sandbox.elevenlabs.faults import Action, Fault, Match
from sandbox.elevenlabs.latency import CALM, Latency, Spread
from sandbox.elevenlabs.simulator import ElevenLabsSimulator
from sandbox.elevenlabs.webhook import sign

__all__ = [
    "CALM",
    "Action",
    "AgentFixture",
    "ElevenLabsSimulator",
    "Fault",
    "Latency",
    "Limits",
    "Match",
    "PhoneCall",
    "Ping",
    "Queueing",
    "SimClock",
    "Spread",
    "sandbox_agent",
    "sign",
]
