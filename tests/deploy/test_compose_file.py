"""`docker-compose.yml` by its own specification's schema, and by the rules of this house. Nothing is started."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
import yaml

from kit.kafka.subscriber import Timing
from tests.deploy.compose import ROOT, SANDBOX_ENV, compose, env_file
from tests.deploy.settings import known, required

EXAMPLE = env_file(ROOT / ".env.example")
COMPOSE = compose(EXAMPLE)
SERVICES: dict[str, Any] = COMPOSE["services"]
OURS = ("ingress", "processor", "sender", "janitor", "console")
SHELL_LESS = {"collector", "tempo"}
"""Images without any program that a health check could run."""


def schema_faults(document: Any) -> list[str]:
    schema = json.loads((ROOT / "tests/deploy/schemas/compose-spec.json").read_text())
    found = jsonschema.validators.validator_for(schema)(schema).iter_errors(document)
    return [f"{'.'.join(map(str, one.absolute_path))}: {one.message}" for one in found]


def test_the_file_is_as_the_compose_specification_says() -> None:
    assert schema_faults(COMPOSE) == []
    assert schema_faults(yaml.safe_load((ROOT / "docker-compose.yml").read_text())) == []  # also before interpolation


def test_the_schema_would_see_a_fault() -> None:
    assert schema_faults({**COMPOSE, "services": {"x": {"image": "a", "retsart": "always"}}})


RULES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "an exact version": lambda about: bool(re.search(r":v?\d+\.\d+(\.\d+)?$", about["image"])),
    "nothing to write to": lambda about: about.get("read_only") is True,
    "no capability": lambda about: about.get("cap_drop") == ["ALL"] and "cap_add" not in about,
    "no way to gain privileges": lambda about: "no-new-privileges:true" in about.get("security_opt", []),
    "a user that is not root": lambda about: about.get("user", "0").split(":")[0] not in {"0", "root"},
    "limits": lambda about: bool(about.get("mem_limit") and about.get("pids_limit")),
    "a network of its own": lambda about: not about.get("privileged") and "network_mode" not in about,
}
LASTING: dict[str, Callable[[dict[str, Any]], bool]] = {
    "a restart": lambda about: about["restart"] == "unless-stopped",
    "a health check": lambda about: "healthcheck" in about,
}


def lacking(name: str, about: dict[str, Any]) -> list[str]:
    """What a container has to have, and has not."""
    rules = RULES if name == "topics" else RULES | LASTING
    return [rule for rule, holds in rules.items() if not holds(about)]


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_pinned_bounded_and_without_rights(name: str) -> None:
    assert lacking(name, SERVICES[name]) == (["a health check"] if name in SHELL_LESS else [])


@pytest.mark.parametrize("removed", ["read_only", "cap_drop", "security_opt", "user", "mem_limit", "healthcheck"])
def test_a_container_without_one_of_them_is_seen(removed: str) -> None:
    assert len(lacking("ingress", {name: one for name, one in SERVICES["ingress"].items() if name != removed})) == 1


def test_every_port_is_bound_to_this_host_only() -> None:
    """The ingress too, unless INGRESS_BIND says otherwise: Twilio wants TLS, which is in front of it."""
    bound = [port for about in SERVICES.values() for port in about.get("ports", [])]
    assert bound
    assert all(port.startswith("127.0.0.1:") for port in bound)
    public = compose({**EXAMPLE, "INGRESS_BIND": "192.0.2.7"})["services"]
    assert public["ingress"]["ports"] == ["192.0.2.7:3001:3001"]


def test_kafka_and_mongodb_are_on_a_network_without_a_way_out_and_keep_their_data_in_volumes() -> None:
    assert COMPOSE["networks"]["data"] == {"internal": True}
    assert [SERVICES[name]["networks"] for name in ("kafka", "mongo")] == [["data"], ["data"]]
    assert f"kafka:{SERVICES['kafka']['environment']['KAFKA_LOG_DIRS']}" in SERVICES["kafka"]["volumes"]
    assert "mongo:/data/db" in SERVICES["mongo"]["volumes"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_waits_for_its_topics_and_gets_time_to_drain(name: str) -> None:
    about, timing = SERVICES[name], Timing()
    assert about["depends_on"]["topics"]["condition"] == "service_completed_successfully"
    assert int(about["stop_grace_period"].removesuffix("s")) >= timing.drain + 20 + timing.stop
    assert about["command"] == [name]
    assert about["build"]["dockerfile"] == "deploy/Dockerfile"


@pytest.mark.parametrize("name", OURS)
def test_every_setting_exists_and_every_required_one_is_given(name: str) -> None:
    if name not in known():
        pytest.skip(f"`hilo {name}` is not there yet")
    for env in (ROOT / ".env.example", SANDBOX_ENV):
        given = {**env_file(env), **SERVICES[name]["environment"]}
        assert required(name) <= given.keys()
    assert SERVICES[name]["environment"].keys() <= known()[name]


def test_the_sandbox_names_only_settings_that_exist_and_nothing_real() -> None:
    names = set().union(*known().values()) | {"HILO_ENV_FILE", "CONSOLE_TOKEN"}
    given = env_file(SANDBOX_ENV)
    assert given.keys() <= names
    assert given["HILO_ENV_FILE"] == SANDBOX_ENV.relative_to(ROOT).as_posix()
    assert [name for name in given if name.endswith("_URL") and "://localhost" in given[name]] == []


def test_no_secret_is_in_the_file() -> None:
    """Secrets come from the environment file; simulators get theirs from it, too."""
    text = (ROOT / "docker-compose.yml").read_text()
    found = re.findall(r"^.*(?:TOKEN|SECRET|PASSWORD|API_KEY)\b.*$", text, re.MULTILINE)
    assert all("${" in line or line.lstrip().startswith("#") for line in found), found


def test_services_look_where_the_health_check_looks() -> None:
    """Each health check asks the port that the same container was given; executed in tests/journeys/test_compose.py."""
    for name in OURS:
        given = SERVICES[name]["environment"]
        port = next(value for setting, value in given.items() if setting.endswith("_PORT"))
        assert f"http://localhost:{port}/health'" in " ".join(SERVICES[name]["healthcheck"]["test"])


def deployed(path: str) -> Any:
    return yaml.safe_load((ROOT / "deploy" / path).read_text())


def test_what_observes_points_at_what_is_there() -> None:
    """Prometheus' targets, the collector's and Grafana's sources: names and ports of this file."""
    targets = {
        (name, look["port"])
        for job in deployed("prometheus/prometheus.yml")["scrape_configs"]
        for look in job["dns_sd_configs"]
        for name in look["names"]
    }
    ports = {"ingress": 3001, "processor": 8080, "sender": 8080, "janitor": 8080, "console": 3002}
    assert targets == set(ports.items())
    sources = [one["url"] for one in deployed("grafana/provisioning/datasources/hilo.yml")["datasources"]]
    places = {*sources, deployed("otel/collector.yml")["exporters"]["otlp"]["endpoint"]}
    assert {place.removeprefix("http://").split(":")[0] for place in places} == {"prometheus", "tempo"}
    assert deployed("otel/tempo.yml")["distributor"]["receivers"]["otlp"]["protocols"]["grpc"]["endpoint"].endswith(
        ":4317"
    )
    mounted = [volume.split(":")[0] for about in SERVICES.values() for volume in about.get("volumes", [])]
    files = [path for path in mounted if path.startswith("./deploy") and not path.endswith("dashboards")]
    assert all((ROOT / path).exists() for path in files), files


def test_prometheus_takes_its_configuration() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on this machine: apt-get install prometheus")
    command = [promtool, "check", "config", "--syntax-only", str(ROOT / "deploy/prometheus/prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stdout + done.stderr
