"""Settings from the environment and `.env`. Every wrong one is named at once, and none is ever printed bare."""

import os
import re
import ssl
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError, ValidationInfo
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from kit.clock import Clock, FileClock, SystemClock
from kit.errors import Misconfigured
from schemas.contact import UnusableAddress, parse_address

__all__ = [
    "ConsumerSettings",
    "KafkaSettings",
    "ListOfNumbers",
    "ListOfSecrets",
    "MongoSettings",
    "ServiceSettings",
    "TwilioSettings",
    "Url",
    "env_file",
    "in_sandbox",
    "load",
    "masked",
]

IN_ADDRESS = re.compile(r"//[^/\s]+@")
"""A user, and perhaps a password."""
S = TypeVar("S", bound="ServiceSettings")
V = TypeVar("V")


def _numbers(text: object) -> object:
    if not isinstance(text, str):
        return text
    try:
        numbers = tuple(parse_address(number) for number in text.split(",") if number.strip())
        usable = all(number.startswith("+") for number in numbers)  # and not a client's user id
    except UnusableAddress:
        usable = False
    if not usable:
        raise ValueError("must be +E164 numbers, separated by commas")
    return numbers


def _secrets(text: object) -> object:
    return tuple(SecretStr(one.strip()) for one in text.split(",") if one.strip()) if isinstance(text, str) else text


def _url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must start with http:// or https://")
    return text.rstrip("/")


def _with_sasl(value: V, told: ValidationInfo) -> V:
    protocol = str(told.data.get("kafka_security_protocol", ""))
    if value is None and protocol.startswith("SASL"):
        raise ValueError(f"must be set where KAFKA_SECURITY_PROTOCOL is {protocol}")
    return value


def _authorities(path: Path | None) -> Path | None:
    """Looked at here, so that a wrong file is named with all other faults."""
    if path is not None:
        try:
            ssl.create_default_context(cafile=path)
        except ssl.SSLError:
            raise ValueError("the file holds no certificate in PEM form") from None
        except OSError as error:
            raise ValueError(f"the file cannot be read: {error.strerror}") from None
    return path


ListOfNumbers = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_numbers)]
ListOfSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_secrets)]
Sampler = Literal[
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
]
Url = Annotated[str, AfterValidator(_url)]


class ServiceSettings(BaseSettings):
    """What every service has."""

    model_config = SettingsConfigDict(
        env_ignore_empty=True,  # `NAME=` means not set: an empty secret would sign anybody's webhooks
        extra="ignore",
        case_sensitive=False,
        frozen=True,
    )

    health_port: int = Field(default=8080, ge=0, le=65535, description="port of /health, /ready and /metrics")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    log_format: Literal["json", "console"] = "json"
    otel_exporter_otlp_endpoint: str = Field(
        default="", pattern=r"^$|^https?://", description="http:// or https:// address where traces go; empty: off"
    )
    otel_service_name: str = Field(default="", description="in traces; empty: the service's own")
    otel_traces_sampler: Sampler = "parentbased_always_on"
    otel_traces_sampler_arg: float = Field(default=1.0, ge=0, le=1, description="share of traces, for traceidratio")
    otel_resource_attributes: str = Field(default="", description="name=value, separated by commas")
    hilo_clock_file: Path | None = Field(default=None, description="sandbox only: seconds added to every clock")

    def clock(self) -> Clock:
        return FileClock(self.hilo_clock_file) if self.hilo_clock_file else SystemClock()


class KafkaSettings(ServiceSettings):
    kafka_bootstrap_servers: str = Field(default="localhost:9092", min_length=1)
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    kafka_sasl_username: Annotated[str | None, AfterValidator(_with_sasl)] = Field(default=None, validate_default=True)
    kafka_sasl_password: Annotated[SecretStr | None, AfterValidator(_with_sasl)] = Field(
        default=None, validate_default=True
    )
    kafka_ssl_cafile: Annotated[Path | None, AfterValidator(_authorities)] = None
    kafka_topic_prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$", description="before topics and groups")
    kafka_session_timeout_ms: int = Field(
        default=15_000,
        ge=1_000,
        description="a killed process's partitions move after this; a blocked loop must be shorter",
    )


class ConsumerSettings(KafkaSettings):
    concurrency: int = Field(default=512, ge=1, description="lanes at work at once")


class MongoSettings(ServiceSettings):
    mongodb_uri: SecretStr = Field(default=SecretStr("mongodb://localhost:27017"), description="may hold a password")
    mongodb_database: str = "hilo"


class TwilioSettings(ServiceSettings):
    twilio_account_sid: str = Field(
        pattern=r"^AC[0-9a-fA-F]{32}$", description="AC and 32 hex digits, from the Twilio console"
    )
    twilio_auth_token: SecretStr = Field(description="signs webhooks; from the Twilio console")
    twilio_auth_token_next: SecretStr | None = Field(default=None, description="second token during rotation")
    twilio_api_key_sid: str | None = Field(default=None, description="preferred to the auth token for REST")
    twilio_api_key_secret: SecretStr | None = None
    twilio_whatsapp_numbers: ListOfNumbers = Field(
        min_length=1, description="our WhatsApp numbers, +E164, separated by commas"
    )
    twilio_base_url: Url = "https://api.twilio.com"


def load(kind: type[S]) -> S:
    """Read `kind` from the environment. Raises Misconfigured, which names every wrong setting at once."""
    try:
        return kind(_env_file=env_file())
    except ValidationError as error:
        raise Misconfigured([_fault(kind, fault) for fault in error.errors()]) from None


def in_sandbox() -> bool:
    """Whether this shell, or this process, was told of a sandbox."""
    return bool(os.environ.get("HILO_CLOCK_FILE"))


def env_file() -> str | None:
    """None in a sandbox: a real account's settings must not mix with it."""
    return None if in_sandbox() else ".env"


def _fault(kind: type[BaseSettings], fault: Any) -> str:
    name = str(fault["loc"][0]) if fault["loc"] else "settings"
    about = _about(kind.model_fields.get(name))
    if fault["type"] == "missing":
        return f"{name.upper()} is missing{about}"
    return f"{name.upper()} is wrong: {fault['msg'].removeprefix('Value error, ')}{about}"


def _about(field: FieldInfo | None) -> str:
    return f" ({field.description})" if field and field.description else ""


def masked(settings: BaseSettings) -> dict[str, str]:
    """Name → value as it may be shown; secrets as asterisks, also inside of an address, names in capitals."""
    shown = {}
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        text = ",".join(map(str, value)) if isinstance(value, tuple) else "" if value is None else str(value)
        shown[name.upper()] = IN_ADDRESS.sub("//***@", text)
    return dict(sorted(shown.items()))
