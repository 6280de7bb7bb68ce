"""Settings: every fault at once, no secret ever, numbers and lists parsed."""

from pathlib import Path

import pytest

from ingress.settings import IngressSettings
from janitor.settings import JanitorSettings
from kit.clock import FileClock, SystemClock
from kit.errors import Misconfigured
from kit.settings import ServiceSettings, load, masked
from ops.settings import OpsSettings
from processor.settings import ProcessorSettings
from sender.settings import SenderSettings

COMPLETE = {
    "TWILIO_ACCOUNT_SID": "AC" + "0" * 31 + "1",
    "TWILIO_AUTH_TOKEN": "sekreto-twilio",
    "TWILIO_WHATSAPP_NUMBERS": "+14155238886, +1 415 523 0000",
    "PUBLIC_BASE_URL": "https://hooks.example.com/prefix/",
    "API_TOKEN": "sekreto-uno, sekreto-dos",
    "ELEVENLABS_API_KEY": "sekreto-el",
    "ELEVENLABS_WEBHOOK_SECRET": "sekreto-hook",
    "DEFAULT_AGENT_ID": "agent_1",
    "MONGODB_URI": "mongodb://ana:sekreto-mongo@db/",
    "KAFKA_SASL_PASSWORD": "sekreto-kafka",
    "TWILIO_AUTH_TOKEN_NEXT": "sekreto-next",
    "TWILIO_API_KEY_SECRET": "sekreto-key",
}
KINDS: list[type[ServiceSettings]] = [
    IngressSettings,
    ProcessorSettings,
    SenderSettings,
    JanitorSettings,
    OpsSettings,
]


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting of this machine, and no `.env`."""
    for kind in KINDS:
        for name in kind.model_fields:
            monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def complete(_bare: None, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name, value in COMPLETE.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


def faults(kind: type[ServiceSettings]) -> dict[str, str]:
    with pytest.raises(Misconfigured) as caught:
        load(kind)
    return {fault.split(" ", 1)[0]: fault for fault in caught.value.faults}


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (
            IngressSettings,
            {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_NUMBERS", "PUBLIC_BASE_URL", "API_TOKEN"},
        ),
        (
            ProcessorSettings,
            {
                "TWILIO_ACCOUNT_SID",
                "TWILIO_AUTH_TOKEN",
                "TWILIO_WHATSAPP_NUMBERS",
                "ELEVENLABS_API_KEY",
                "DEFAULT_AGENT_ID",
            },
        ),
        (SenderSettings, {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_NUMBERS", "PUBLIC_BASE_URL"}),
        (JanitorSettings, {"TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN", "TWILIO_WHATSAPP_NUMBERS"}),
    ],
)
def test_every_missing_setting_is_named_at_once(kind: type[ServiceSettings], missing: set[str]) -> None:
    found = faults(kind)
    assert set(found) == missing
    assert all("is missing" in fault for fault in found.values())


@pytest.mark.usefixtures("_bare")
def test_a_shell_that_was_told_of_a_sandbox_reads_no_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("KAFKA_TOPIC_PREFIX=prod.\n")
    assert load(OpsSettings).kafka_topic_prefix == "prod."
    monkeypatch.setenv("HILO_CLOCK_FILE", "some/sandbox/clock")
    monkeypatch.setenv("KAFKA_TOPIC_PREFIX", "")
    assert load(OpsSettings).kafka_topic_prefix == ""


@pytest.mark.usefixtures("_bare")
def test_what_needs_nothing_starts_with_nothing() -> None:
    load(OpsSettings)


WRONG = {
    "TWILIO_ACCOUNT_SID": "sekreto-AC12",
    "TWILIO_WHATSAPP_NUMBERS": "+14155238886,sekreto-number",
    "TWILIO_BASE_URL": "ftp://sekreto",
    "PUBLIC_BASE_URL": "sekreto.example.com",
    "API_TOKEN": " , ",
    "HEALTH_PORT": "sekreto",
    "INGRESS_PORT": "70000",
    "LOG_LEVEL": "sekreto",
    "KAFKA_SECURITY_PROTOCOL": "sekreto",
    "KAFKA_TOPIC_PREFIX": "sekreto topic",
    "KAFKA_SESSION_TIMEOUT_MS": "1",
    "PUBLISH_DEADLINE_S": "0",
}


def test_every_wrong_setting_is_named_at_once_and_not_repeated(complete: pytest.MonkeyPatch) -> None:
    for name, value in WRONG.items():
        complete.setenv(name, value)
    found = faults(IngressSettings)
    assert set(found) == set(WRONG)
    assert "sekreto" not in " ".join(found.values())


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        (SenderSettings, "SEND_LEASE_S", "10"),
        (ProcessorSettings, "AGENT_ATTEMPTS", "0"),
        (ProcessorSettings, "AGENT_DEADLINE_S", "-1"),
        (ProcessorSettings, "DEFAULT_LANGUAGE", "de"),
        (JanitorSettings, "CLOSE_AFTER_H", "0"),
        (JanitorSettings, "SWEEP_EVERY_S", "soon"),
        pytest.param(
            IngressSettings,
            "TWILIO_WHATSAPP_NUMBERS",
            "MX.9f3c",
        ),
    ],
)
def test_a_wrong_value_is_named(
    kind: type[ServiceSettings], name: str, value: str, complete: pytest.MonkeyPatch
) -> None:
    complete.setenv(name, value)
    assert set(faults(kind)) == {name}


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (IngressSettings, "TWILIO_AUTH_TOKEN"),
        (IngressSettings, "API_TOKEN"),
        (SenderSettings, "PUBLIC_BASE_URL"),
        (ProcessorSettings, "ELEVENLABS_API_KEY"),
        (ProcessorSettings, "DEFAULT_AGENT_ID"),
    ],
)
def test_an_empty_setting_is_missing(kind: type[ServiceSettings], name: str, complete: pytest.MonkeyPatch) -> None:
    complete.setenv(name, "")
    assert "is missing" in faults(kind)[name]


def test_an_empty_webhook_secret_is_no_secret(complete: pytest.MonkeyPatch) -> None:
    """The route is closed where `elevenlabs_webhook_secret` is None."""
    complete.setenv("ELEVENLABS_WEBHOOK_SECRET", "")
    assert load(IngressSettings).elevenlabs_webhook_secret is None


@pytest.mark.usefixtures("complete")
@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_is_ever_shown(kind: type[ServiceSettings]) -> None:
    settings = load(kind)
    shown = masked(settings)
    assert set(shown) == {name.upper() for name in kind.model_fields}
    assert "sekreto" not in f"{shown} {settings!r} {settings}"
    assert all(name == name.upper() for name in shown)


@pytest.mark.usefixtures("complete")
def test_lists_and_addresses_are_parsed() -> None:
    settings = load(IngressSettings)
    assert settings.twilio_whatsapp_numbers == ("+14155238886", "+14155230000")
    assert [one.get_secret_value() for one in settings.api_token] == ["sekreto-uno", "sekreto-dos"]
    assert settings.public_base_url == "https://hooks.example.com/prefix"
    assert masked(settings)["TWILIO_WHATSAPP_NUMBERS"] == "+14155238886,+14155230000"
    assert masked(settings)["API_TOKEN"].count("*") > 10


def test_a_password_inside_of_an_address_is_not_shown(complete: pytest.MonkeyPatch) -> None:
    complete.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://ana:sek@reto@traces.example.com/v1@x")
    shown = masked(load(IngressSettings))["OTEL_EXPORTER_OTLP_ENDPOINT"]
    assert shown == "https://***@traces.example.com/v1@x"


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("CLOSE_AFTER_H", "0.5", 0.5), ("SWEEP_EVERY_S", "1.5", 1.5), ("HEALTH_PORT", "0", 0), ("HEALTH_PORT", "9", 9)],
)
def test_numbers_may_be_fractions(name: str, text: str, value: float, complete: pytest.MonkeyPatch) -> None:
    complete.setenv(name, text)
    assert getattr(load(JanitorSettings), name.lower()) == value


def test_the_file_is_read_and_the_environment_goes_first(complete: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("CLOSE_AFTER_H=2\nSWEEP_EVERY_S=7\nUNKNOWN_THING=1\n")
    complete.setenv("CLOSE_AFTER_H", "3")
    settings = load(JanitorSettings)
    assert (settings.close_after_h, settings.sweep_every_s) == (3, 7)


def test_defaults_are_the_designs(complete: pytest.MonkeyPatch) -> None:
    complete.delenv("MONGODB_URI")
    janitor = load(JanitorSettings)
    assert (janitor.close_after_h, janitor.sweep_every_s, janitor.kafka_session_timeout_ms) == (24, 3600, 15_000)
    assert (janitor.mongodb_database, janitor.kafka_bootstrap_servers) == ("hilo", "localhost:9092")
    assert janitor.mongodb_uri.get_secret_value() == "mongodb://localhost:27017"
    fields = ProcessorSettings.model_fields
    names = ("agent_attempts", "agent_backoff_s", "agent_deadline_s", "reply_max_age_s", "default_language")
    assert [fields[name].default for name in names] == [3, 2, 40, 3600, "es"]


def test_only_a_sandbox_has_a_clock_that_moves(complete: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert type(load(JanitorSettings).clock()) is SystemClock
    complete.setenv("HILO_CLOCK_FILE", str(tmp_path / "clock"))
    assert type(load(JanitorSettings).clock()) is FileClock


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({}, {"KAFKA_SASL_USERNAME", "KAFKA_SASL_PASSWORD"}),
        ({"KAFKA_SASL_USERNAME": "hilo"}, {"KAFKA_SASL_PASSWORD"}),
        ({"KAFKA_SASL_PASSWORD": "sekreto-kafka"}, {"KAFKA_SASL_USERNAME"}),
    ],
)
def test_sasl_without_user_or_password_is_named(
    given: dict[str, str], names: set[str], complete: pytest.MonkeyPatch
) -> None:
    complete.delenv("KAFKA_SASL_PASSWORD")
    for name, value in {"KAFKA_SECURITY_PROTOCOL": "SASL_SSL", **given}.items():
        complete.setenv(name, value)
    found = faults(JanitorSettings)
    assert set(found) == names
    assert all("must be set where KAFKA_SECURITY_PROTOCOL is SASL_SSL" in fault for fault in found.values())


@pytest.mark.parametrize(
    ("content", "told"), [(None, "cannot be read: No such file"), ("sekreto", "holds no certificate in PEM form")]
)
def test_a_file_without_authorities_is_named(
    content: str | None, told: str, complete: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "ca.pem").write_text(content)
    complete.setenv("KAFKA_SSL_CAFILE", "ca.pem")
    assert told in faults(JanitorSettings)["KAFKA_SSL_CAFILE"]
