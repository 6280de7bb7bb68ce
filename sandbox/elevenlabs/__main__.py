"""`python -m sandbox.elevenlabs`: the simulator as a process."""

import argparse
import asyncio
import json
import signal
import sys
from pathlib import Path

import uvloop

from kit.service import calm_collector
from sandbox.elevenlabs.agents import AgentFixture, sandbox_agent
from sandbox.elevenlabs.simulator import ElevenLabsSimulator

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        agents = _load_agents(options)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"elevenlabs-sim: --agents {options.agents}: {error}\n")
        return 2
    return uvloop.run(_serve(options, agents))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.elevenlabs",
        description="ElevenLabs Agents, simulated: conversation socket, REST, post-call webhook, faults.",
        epilog="Control plane: /__sim (its own documentation at /__sim/docs). Ctrl-C or SIGTERM stops it.",
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=9966, help="HTTP and WebSocket; 0 takes a free one")
    add("--agents", type=Path, metavar="FILE.json", help="a list of agent fixtures, besides agent_sandbox")
    add("--api-key", default="sk_sim", help="key of agent_sandbox (default: %(default)s)")
    add("--webhook-url", help="where the signed post-call webhook goes")
    add("--webhook-secret", default="wsec_sim_0123456789abcdef", help="its signing secret")
    add("--seed", type=int, default=0, help="of delays, ids and chances")
    add("--clock-file", type=Path, metavar="PATH", help="file with an offset in seconds (HILO_CLOCK_FILE)")
    add("--control-token", help="if given, /__sim needs it as X-Sim-Token")
    add(
        "--latency",
        choices=("calm", "none"),
        default="calm",
        help="agent_sandbox thinks 0.3 to 0.8 s, or not at all (default: %(default)s)",
    )
    return parser


def _load_agents(options: argparse.Namespace) -> list[AgentFixture]:
    agents = [sandbox_agent(calm=options.latency == "calm", api_keys=[options.api_key])]
    if options.agents:
        read = json.loads(options.agents.read_text())
        agents += [AgentFixture.model_validate(item) for item in (read if isinstance(read, list) else [read])]
    return agents


async def _serve(options: argparse.Namespace, agents: list[AgentFixture]) -> int:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    sim = ElevenLabsSimulator(
        agents,
        host=options.host,
        port=options.port,
        seed=options.seed,
        clock_file=options.clock_file,
        webhook_url=options.webhook_url,
        webhook_secret=options.webhook_secret,
        control_token=options.control_token,
    )
    try:
        await sim.start()
    except OSError as error:
        sys.stderr.write(f"elevenlabs-sim: cannot listen on {options.host}:{options.port}: {error}\n")
        return 2
    calm_collector()  # a full collection stopped every conversation for 114 ms (bench agent_pool)
    sys.stdout.write(f"elevenlabs-sim listening on {sim.url}\n")
    sys.stdout.flush()
    await stopped.wait()
    await sim.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
