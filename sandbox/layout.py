"""Where everything of a sandbox listens, and the settings that each process gets: one place, so nothing disagrees."""

import json
import os
import secrets
import shlex
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Self

from kit.settings import KafkaSettings
from sandbox.stack.jars import default_cache
from sandbox.stack.ports import HOST, free_ports

__all__ = ["GREETING_TEMPLATE", "GREETING_TEMPLATE_SID", "Layout", "Ports", "state_file"]

AGENT = "agent_sandbox"
WATCHED = ("ingress", "processor", "sender", "janitor")
GREETING_TEMPLATE_SID = "HX" + "6" * 31 + "1"
GREETING_TEMPLATE = "¡Hola {{1}}! 👋\n\nHace un momento hablamos sobre: {{2}}\n\n¿En qué más puedo ayudarte?"


@dataclass(frozen=True)
class Ports:
    """The defaults are what the settings' defaults point at: in another shell `hilo stats` just works."""

    kafka: int = 9092
    mongo: int = 27017
    ingress: int = 3001
    phone: int = 3003
    processor: int = 3011
    sender: int = 3012
    janitor: int = 3013
    console: int = 3002
    twilio: int = 9955
    twilio_control: int = 9956
    elevenlabs: int = 9966
    backend: int = 9977

    @classmethod
    def free(cls) -> Self:
        """Ports that nobody uses now."""
        names = [one.name for one in fields(cls)]
        return cls(**dict(zip(names, free_ports(len(names)), strict=True)))


@dataclass(frozen=True)
class Layout:
    """A sandbox that can be found and spoken to: written to a state file as JSON."""

    data: str
    ports: Ports = field(default_factory=Ports)
    pid: int = 0
    number: str = "+14155238886"
    account_sid: str = "AC" + "5a" * 16
    auth_token: str = field(default_factory=lambda: secrets.token_hex(16))
    api_token: str = field(default_factory=lambda: secrets.token_hex(16))
    console_token: str = field(default_factory=lambda: secrets.token_hex(16))
    kafka_servers: str = ""
    mongodb_uri: str = ""
    sweep_every_s: float = 3600

    @property
    def clock_file(self) -> Path:
        return Path(self.data) / "clock"

    @property
    def env_file(self) -> Path:
        """For `. FILE` in another shell, so that every `hilo` command there speaks to this sandbox, on its clock."""
        return Path(self.data) / "env"

    @property
    def kafka(self) -> KafkaSettings:
        """As the services have it, whatever this shell or a `.env` says of another Kafka."""
        return KafkaSettings(
            kafka_bootstrap_servers=self.kafka_servers,
            kafka_topic_prefix="",
            kafka_security_protocol="PLAINTEXT",
            _env_file=None,
        )

    def url(self, part: str) -> str:
        return f"http://{HOST}:{getattr(self.ports, part)}"

    def environment(self, service: str) -> dict[str, str]:
        """The settings of one service. Every one that matters is set: a shell's or a `.env`'s must not leak in."""
        port = getattr(self.ports, service, 0)
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.kafka_servers,
            "KAFKA_TOPIC_PREFIX": "",
            "KAFKA_SECURITY_PROTOCOL": "PLAINTEXT",
            "MONGODB_URI": self.mongodb_uri,
            "MONGODB_DATABASE": "hilo",
            "PUBLIC_BASE_URL": self.url("ingress"),
            "INGRESS_PORT": str(self.ports.ingress),
            "HEALTH_PORT": str(port),
            "TWILIO_ACCOUNT_SID": self.account_sid,
            "TWILIO_AUTH_TOKEN": self.auth_token,
            "TWILIO_API_KEY_SID": "",
            "TWILIO_WHATSAPP_NUMBERS": self.number,
            "TWILIO_BASE_URL": self.url("twilio"),
            "ELEVENLABS_API_KEY": "sk_sim",
            "ELEVENLABS_BASE_URL": self.url("elevenlabs"),
            "ELEVENLABS_WEBHOOK_SECRET": "wsec_sim_0123456789abcdef",
            "DEFAULT_AGENT_ID": AGENT,
            "GREETING_TEMPLATE_SID": GREETING_TEMPLATE_SID,
            "API_TOKEN": self.api_token,
            "CONSOLE_PORT": str(self.ports.console),
            "CONSOLE_TOKEN": self.console_token,
            "CONSOLE_SERVICES": ",".join(f"{one}={self.url(one)}" for one in WATCHED),
            "UVICORN_WORKERS": "1",
            "SWEEP_EVERY_S": str(self.sweep_every_s),
            "HILO_CLOCK_FILE": str(self.clock_file),
        }

    def command(self, part: str) -> list[str]:
        """How a part is started; a service as in production."""
        python = [sys.executable, "-m"]
        if part == "twilio":
            inbound = f"{self.url('ingress')}/webhook/twilio/incoming#rc=3&rp=5xx,ct,rt"
            return [
                *(*python, "sandbox.twilio", "--port", str(self.ports.twilio)),
                *("--control-port", str(self.ports.twilio_control), "--clock-file", str(self.clock_file)),
                *("--account-sid", self.account_sid, "--auth-token", self.auth_token, "--number", self.number),
                *("--inbound-url", inbound, "--template", f"{GREETING_TEMPLATE_SID}={GREETING_TEMPLATE}"),
            ]
        if part == "elevenlabs":
            webhook = f"{self.url('ingress')}/webhook/elevenlabs/post-call"
            return [*python, "sandbox.elevenlabs", "--port", str(self.ports.elevenlabs), "--webhook-url", webhook]
        if part == "backend":
            return [*python, "sandbox.backend", "--port", str(self.ports.backend)]
        return [*python, "ops.console" if part == "console" else part]

    def write(self, path: Path) -> None:
        """For `hilo demo` in `path`, for a shell in `env_file`."""
        settings = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in self.environment("hilo").items())
        _write(self.env_file, f'{settings}export PATH={shlex.quote(str(Path(sys.executable).parent))}:"$PATH"\n')
        _write(path, json.dumps(asdict(self)))

    def forget(self, path: Path) -> None:
        """Of `path` only what is ours: another sandbox may have been started meanwhile."""
        self.env_file.unlink(missing_ok=True)
        with suppress(OSError, ValueError):
            if json.loads(path.read_text())["pid"] == self.pid:
                path.unlink()

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The sandbox that runs now, or None."""
        try:
            told = json.loads(path.read_text())
            layout = replace(cls(**told), ports=Ports(**told["ports"]))
            os.kill(layout.pid, 0)
        except (OSError, ValueError, TypeError, KeyError):
            return None
        return layout


def state_file() -> Path:
    """Where a running sandbox is written down for `hilo demo`."""
    return default_cache() / "sandbox.json"


def _write(path: Path, text: str) -> None:
    """All of it or nothing, and for this user only: there are tokens in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    Path(file.name).replace(path)
