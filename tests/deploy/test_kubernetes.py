"""The manifests that kustomize builds: by the published schemas, and by what the services are and need."""

import ipaddress
import tomllib
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from kubernetes_validate.utils import ValidationError, validate

from kit.kafka.subscriber import Timing
from schemas.topics import TOPICS
from tests.deploy.compose import ROOT
from tests.deploy.kubernetes import OVERLAYS, Manifest, built, digest, kept, kustomize, parsed
from tests.deploy.settings import known, required

VERSIONS = ("1.30", "1.37")
"""The oldest that has everything used here (`preStop.sleep`), and the newest."""
SERVICES = ("ingress", "processor", "sender", "janitor", "console")
ONCE = {"topics", "doctor"}
"""What ends by itself."""
STOPS_S = 20  # commits and stops, after the drain
KEDA = {
    "bootstrapServersFromEnv", "topic", "consumerGroup", "lagThreshold", "offsetResetPolicy", "excludePersistentLag",
    "sasl", "tls",
}  # fmt: skip
"""Of the Kafka scaler's parameters (KEDA 2.21, pkg/scalers/kafka_scaler.go) those that are used."""


@pytest.fixture(params=OVERLAYS)
def manifests(request: pytest.FixtureRequest) -> list[Manifest]:
    return parsed(kept(request.param)[1])


def of(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def pods(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Name → the pod's own specification."""
    specs = {name: one["spec"] for kind in ("Deployment", "Job") for name, one in of(manifests, kind).items()}
    specs |= {name: one["spec"]["jobTemplate"]["spec"] for name, one in of(manifests, "CronJob").items()}
    return {name: one["template"]["spec"] for name, one in specs.items()}


def config(manifests: list[Manifest]) -> dict[str, str]:
    (found,) = of(manifests, "ConfigMap").values()
    data: dict[str, str] = found["data"]
    return data


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_what_is_kept_is_what_the_sources_give(overlay: str) -> None:
    """By digest everywhere; by building where kustomize or kubectl is. Neither is ever skipped without the other."""
    assert kept(overlay)[0] == digest(), "run `python -m tests.deploy.kubernetes`"
    command = kustomize()
    if command:
        assert parsed(built(overlay, command)) == parsed(kept(overlay)[1])


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_them(manifests: list[Manifest], version: str) -> None:
    for one in manifests:
        if ".sh/" not in one["apiVersion"]:
            validate(one, version, strict=True)


def test_the_schemas_would_see_a_fault(manifests: list[Manifest]) -> None:
    wrong = of(manifests, "Deployment")["sender"]
    wrong["spec"]["template"]["spec"]["terminationGracePeriodSecond"] = 3
    with pytest.raises(ValidationError):
        validate(wrong, VERSIONS[-1], strict=True)


def strict(schema: Any) -> Any:
    """As `kubectl apply` with strict validation: no field that the schema does not know."""
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(one) for name, one in schema.items()}
    if "properties" in found:
        found["properties"] = {name: strict(one) for name, one in schema["properties"].items()}
        if not schema.get("x-kubernetes-preserve-unknown-fields") and found["properties"]:
            found.setdefault("additionalProperties", False)
    return found


def keda_faults(one: Manifest) -> list[str]:
    file = ROOT / "tests/deploy/schemas" / f"keda.sh_{one['kind'].lower()}s.yaml"
    (version,) = yaml.safe_load(file.read_text())["spec"]["versions"]
    schema = strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return [fault.message for fault in jsonschema.Draft7Validator(schema).iter_errors(one)]


def test_keda_takes_them(manifests: list[Manifest]) -> None:
    for one in manifests:
        if one["apiVersion"].startswith("keda.sh/"):
            assert keda_faults(one) == []
    right: Manifest = {
        "kind": "ScaledObject",
        "spec": {"scaleTargetRef": {"name": "x"}, "triggers": [{"type": "kafka", "metadata": {}}]},
    }
    assert keda_faults(right) == []
    assert keda_faults({**right, "spec": {**right["spec"], "maxReplicas": 3}})


def triggers(manifests: list[Manifest]) -> Iterator[tuple[str, dict[str, str]]]:
    for name, one in of(manifests, "ScaledObject").items():
        for trigger in one["spec"]["triggers"]:
            yield name, trigger["metadata"]


def test_pods_are_scaled_by_the_lag_of_their_own_groups_up_to_one_for_each_partition() -> None:
    manifests = parsed(kept("production")[1])
    prefix = config(manifests)["KAFKA_TOPIC_PREFIX"]
    groups = {f"{prefix}{one.name}": f"{prefix}{one.group}" for one in TOPICS if one.group}
    found = list(triggers(manifests))
    assert {one["topic"]: one["consumerGroup"] for _, one in found} == groups
    assert all(one["consumerGroup"].split("-")[0] == name for name, one in found if not prefix)
    assert all(one.keys() <= KEDA for _, one in found)
    partitions = {one.partitions for one in TOPICS if one.group}
    assert {one["spec"]["maxReplicaCount"] for one in of(manifests, "ScaledObject").values()} == partitions


def test_whoever_is_scaled_has_no_count_of_its_own() -> None:
    manifests = parsed(kept("production")[1])
    scalers = [*of(manifests, "ScaledObject").values(), *of(manifests, "HorizontalPodAutoscaler").values()]
    scaled = {one["spec"]["scaleTargetRef"]["name"] for one in scalers}
    deployments = of(manifests, "Deployment")
    assert scaled == {"ingress", "processor", "sender"}
    assert {name for name, one in deployments.items() if "replicas" not in one["spec"]} == scaled


def test_every_service_is_there_once_with_one_image_of_this_version(manifests: list[Manifest]) -> None:
    found = pods(manifests)
    assert found.keys() == {*SERVICES, *ONCE}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    images = {one["containers"][0]["image"] for one in found.values()}
    assert {image.rpartition(":")[2] for image in images} == {version}
    assert len(images) == 1
    assert {name: one["containers"][0]["args"][0] for name, one in found.items()} == {name: name for name in found}


def test_a_pod_has_time_to_drain(manifests: list[Manifest]) -> None:
    timing = Timing()
    for name, pod in pods(manifests).items():
        if name in ONCE:
            continue
        before = pod["containers"][0].get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        assert pod["terminationGracePeriodSeconds"] >= before + timing.drain + STOPS_S + timing.stop


def test_liveness_never_looks_at_the_broker_and_readiness_does(manifests: list[Manifest]) -> None:
    for name, pod in pods(manifests).items():
        (container,) = pod["containers"]
        if name in ONCE:
            continue
        paths = {kind: container[kind]["httpGet"]["path"] for kind in container if kind.endswith("Probe")}
        assert paths == {"startupProbe": "/health", "livenessProbe": "/health", "readinessProbe": "/ready"}
        (port,) = container["ports"]
        settings = {"ingress": "INGRESS_PORT", "console": "CONSOLE_PORT"}
        assert str(port["containerPort"]) == config(manifests)[settings.get(name, "HEALTH_PORT")]
        probe = container["livenessProbe"]
        assert probe["periodSeconds"] * probe["failureThreshold"] >= 60  # after the watchdog's 30 s, which says why


def given(manifests: list[Manifest], name: str) -> tuple[set[str], set[str]]:
    """What the pod always has in its environment, and what it has where the Secret has it."""
    env = pods(manifests)[name]["containers"][0].get("env", [])
    assert all(set(one) == {"name", "valueFrom"} for one in env)  # a value would stand here for everybody to read
    optional = {one["name"] for one in env if one["valueFrom"]["secretKeyRef"].get("optional")}
    return {one["name"] for one in env} - optional | config(manifests).keys(), optional


@pytest.mark.parametrize("service", SERVICES)
def test_every_setting_exists_and_every_required_one_is_given(manifests: list[Manifest], service: str) -> None:
    if service not in known():
        pytest.skip(f"`hilo {service}` is not there yet")
    always, optional = given(manifests, service)
    assert required(service) <= always
    own = (always | optional) - config(manifests).keys()
    assert own <= known()[service]


def test_the_config_map_names_settings_only_and_no_secret(manifests: list[Manifest]) -> None:
    names = config(manifests).keys()
    assert names <= set().union(*known().values()) | {"CONSOLE_PORT"}
    assert not [name for name in names if name.endswith(("TOKEN", "SECRET", "PASSWORD", "KEY", "URI"))]
    assert of(manifests, "Secret") == {}


def lacking(pod: Manifest) -> list[str]:
    """Of what the Pod Security Standard `restricted` asks, and read-only file systems."""
    (container,) = pod["containers"]
    inside, around = container.get("securityContext", {}), pod.get("securityContext", {})
    held = {
        "runAsNonRoot": around.get("runAsNonRoot") is True and around.get("runAsUser", 0) > 0,
        "seccomp": around.get("seccompProfile") == {"type": "RuntimeDefault"},
        "escalation": inside.get("allowPrivilegeEscalation") is False,
        "read only": inside.get("readOnlyRootFilesystem") is True,
        "capabilities": inside.get("capabilities") == {"drop": ["ALL"]},
        "token": pod.get("automountServiceAccountToken") is False,
        "memory": "memory" in container.get("resources", {}).get("limits", {}),
        "requests": container.get("resources", {}).get("requests", {}).keys() == {"cpu", "memory"},
    }
    return [name for name, holds in held.items() if not holds]


def test_every_pod_is_restricted_and_bounded(manifests: list[Manifest]) -> None:
    assert {name: lacking(pod) for name, pod in pods(manifests).items()} == {name: [] for name in pods(manifests)}
    assert len(lacking({"containers": [{}]})) == 8
    (space,) = of(manifests, "Namespace").values()
    assert space["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_selectors_find_the_pods_they_mean(manifests: list[Manifest]) -> None:
    for kind, path in (("Deployment", "matchLabels"), ("PodDisruptionBudget", "matchLabels"), ("Service", "")):
        for name, one in of(manifests, kind).items():
            labels = one["spec"]["selector"][path] if path else one["spec"]["selector"]
            pod = of(manifests, "Deployment")[name]["spec"]["template"]["metadata"]["labels"]
            assert labels.items() <= pod.items()
    assert of(manifests, "PodDisruptionBudget").keys() == set(SERVICES)


def test_the_console_is_let_to_every_service_that_it_is_told_to_ask(manifests: list[Manifest]) -> None:
    asked = dict(one.split("=", 1) for one in config(manifests)["CONSOLE_SERVICES"].split(","))
    assert asked == {name: f"http://{name}" for name in SERVICES if name != "console"}
    assert all(one["spec"]["ports"][0]["port"] == 80 for one in of(manifests, "Service").values())
    assert asked.keys() <= of(manifests, "Service").keys()
    policies = of(manifests, "NetworkPolicy")
    (out,), (into,) = policies["console"]["spec"]["egress"], policies["watched"]["spec"]["ingress"]
    assert into["from"] == [{"podSelector": policies["console"]["spec"]["podSelector"]}]
    assert out["to"] == [{"podSelector": policies["watched"]["spec"]["podSelector"]}]
    assert out["ports"] == into["ports"] == [{"port": "http", "protocol": "TCP"}]


def test_only_webhooks_and_the_api_are_public(manifests: list[Manifest]) -> None:
    (ingress,) = of(manifests, "Ingress").values()
    (rule,) = ingress["spec"]["rules"]
    assert [(one["path"], one["backend"]["service"]["name"]) for one in rule["http"]["paths"]] == [
        ("/webhook", "ingress"), ("/api", "ingress"),
    ]  # fmt: skip
    assert ingress["spec"]["tls"][0]["hosts"] == [rule["host"]]
    assert config(manifests)["PUBLIC_BASE_URL"] == f"https://{rule['host']}"


def test_the_network_is_closed_but_for_what_is_needed(manifests: list[Manifest]) -> None:
    policies = of(manifests, "NetworkPolicy")
    assert policies["nobody"]["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (blocks,) = policies["world"]["spec"]["egress"]
    (block,) = (one["ipBlock"] for one in blocks["to"])
    outside = [ipaddress.ip_network(one) for one in block["except"]]
    assert all(any(ipaddress.ip_address(ip) in net for net in outside) for ip in ("10.1.2.3", "169.254.169.254"))
    (who,) = policies["world"]["spec"]["podSelector"]["matchExpressions"]
    assert set(who["values"]) == {"processor", "sender", "janitor", "doctor"}
    first = config(manifests)["KAFKA_BOOTSTRAP_SERVERS"].split(",")[0]
    ports = [port for rule in policies["stores"]["spec"]["egress"] for port in rule["ports"]]
    assert any(one["port"] <= int(first.split(":")[1]) <= one.get("endPort", one["port"]) for one in ports)
