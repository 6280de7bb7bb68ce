"""`python -m sandbox.twilio`: the simulator on two fixed ports until SIGTERM or SIGINT."""

import argparse
import asyncio
import os
import re
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop
from pydantic import ValidationError

from sandbox.twilio.profile import Profile
from sandbox.twilio.simulator import TwilioSimulator

_EPILOGUE = """
PUT /_sim/profile changes any setting while it runs; /_sim/docs describes the control API.
A template for closed windows: --template 'HX<32 hex>=Hola {{1}}, {{2}}' (approved, UTILITY, es).
"""


def _parser() -> argparse.ArgumentParser:
    defaults = Profile()
    parser = argparse.ArgumentParser(
        prog="python -m sandbox.twilio", description="A WhatsApp account at Twilio, pretended.", epilog=_EPILOGUE
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=9955, help="REST API (default 9955; 0 takes a free one)")
    add("--control-port", type=int, default=9956, help="/_sim/… (default 9956)")
    add("--account-sid", default=defaults.account_sid)
    add("--auth-token", default=defaults.auth_token, help="authenticates REST, signs webhooks")
    add("--api-key", help="SK…: a second way to authenticate REST, with --api-secret")
    add("--api-secret")
    add("--number", action="append", help="a WhatsApp sender of ours, +E164; repeatable")
    add("--inbound-url", help="signed exactly as written, without its #rc=3&rp=5xx,ct,rt overrides")
    add("--fallback-url", help="called when the inbound URL failed for good")
    add("--status-url", help="status callbacks of sends that name none")
    add(
        "--connect",
        action="append",
        default=[],
        metavar="PUBLIC=PRIVATE",
        help="connect to PRIVATE for URLs that begin with PUBLIC, e.g. https://hooks.test=http://127.0.0.1:3001",
    )
    add("--public-url", help="base of media addresses when callers reach this host by another name")
    add("--template", action="append", default=[], metavar="HX…=BODY")
    clock = os.environ.get("HILO_CLOCK_FILE")
    add("--clock-file", type=Path, default=Path(clock) if clock else None, help="default: HILO_CLOCK_FILE")
    add("--seed", type=int, default=defaults.seed)
    add("--speed", type=float, default=1.0, help="divides every wait but network timeouts; 1000 for tests")
    add("--mps", type=float, default=defaults.mps, help="messages per second and sender")
    return parser


def _profile(given: argparse.Namespace) -> Profile:
    keys = {given.api_key: given.api_secret} if given.api_key and given.api_secret else {}
    return Profile(
        account_sid=given.account_sid,
        auth_token=given.auth_token,
        api_keys=keys,
        numbers=tuple(given.number or Profile().numbers),
        inbound_url=given.inbound_url,
        fallback_url=given.fallback_url,
        status_url=given.status_url,
        public_url=given.public_url,
        connect=dict(pair.split("=", 1) for pair in given.connect),
        seed=given.seed,
        speed=given.speed,
        mps=given.mps,
    )


async def _serve(given: argparse.Namespace, profile: Profile) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    simulator = TwilioSimulator(
        profile, host=given.host, port=given.port, control_port=given.control_port, clock_file=given.clock_file
    )
    for pair in given.template:
        sid, _, body = pair.partition("=")
        simulator.template(sid, body)
    async with simulator:
        print(f"twilio simulator: REST {simulator.url} control {simulator.control_url}", flush=True)  # noqa: T201
        await stop.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    given = parser.parse_args(arguments)
    wrong = [t for t in given.template if not re.match(r"^HX[0-9a-f]{32}=.", t)]
    wrong += [c for c in given.connect if "=" not in c]
    if wrong:
        parser.error(f"not understood: {', '.join(wrong)}")
    try:
        profile = _profile(given)
    except ValidationError as error:
        parser.error(str(error))
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(given, profile))
    except OSError as error:
        print(f"cannot listen: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
