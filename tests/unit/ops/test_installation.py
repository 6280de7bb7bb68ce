"""What `hilo doctor` says of an installation: tables, and its questions asked of a server of this machine."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from pydantic import ValidationError

from ops import installation
from ops.installation import (
    address_finding,
    clock_finding,
    descriptors_finding,
    replication_finding,
    store_finding,
    templates_finding,
)
from ops.settings import OpsSettings, service_settings
from ops.surroundings import check_address, check_clock, check_host, check_traces

HX = "HX" + "a" * 32
THREE = {"setName": "rs", "hosts": ["a", "b", "c"]}


@pytest.mark.parametrize(
    ("brokers", "replicas", "state"),
    [(3, 3, "ok"), (5, 3, "ok"), (3, 2, "warn"), (3, 1, "warn"), (1, 1, "warn")],
)
def test_copies_of_records(brokers: int, replicas: int, state: str) -> None:
    found = replication_finding(brokers, replicas)
    assert (found.state, bool(found.remedy)) == (state, state != "ok")


@pytest.mark.parametrize(
    ("hello", "state", "said"),
    [
        (THREE, "ok", "replica set rs of 3"),
        ({"setName": "rs", "hosts": ["a"]}, "warn", "replica set rs of 1"),
        ({"isWritablePrimary": True}, "warn", "no replica set"),
        ({"msg": "isdbgrid"}, "ok", "sharded"),
    ],
)
def test_copies_of_documents(hello: dict[str, object], state: str, said: str) -> None:
    found = store_finding("8.0.15", hello)
    assert found.state == state
    assert said in found.detail


@pytest.mark.parametrize(("skew", "state"), [(0.4, "ok"), (-1.9, "ok"), (3, "warn"), (-3, "warn"), (11, "fail")])
def test_clocks(skew: float, state: str) -> None:
    assert clock_finding("Twilio", skew).state == state


def test_a_clock_that_is_wrong_is_found_before_a_lease_is() -> None:
    lease = service_settings()["sender"].model_fields["send_lease_s"].default
    assert lease > installation.SKEW_FAIL_S


@pytest.mark.parametrize(
    ("url", "status", "state"),
    [
        ("https://a.example", 405, "ok"),
        ("http://a.example", 405, "warn"),
        ("https://a.example", None, "warn"),
        ("https://a.example", 404, "fail"),
        ("https://a.example", 502, "fail"),
    ],
)
def test_the_public_address(url: str, status: int | None, state: str) -> None:
    assert address_finding(url, status).state == state


@pytest.mark.parametrize(
    ("greeting", "reengage", "state", "said"),
    [
        (HX, HX, "ok", "set"),
        ("", HX, "warn", "GREETING_TEMPLATE_SID"),
        ("", "", "warn", "REENGAGE_TEMPLATE_SID"),
        (HX, "greeting", "fail", "REENGAGE_TEMPLATE_SID"),
    ],
)
def test_templates(greeting: str, reengage: str, state: str, said: str) -> None:
    found = templates_finding(greeting, reengage)
    assert found.state == state
    assert said in found.detail


def test_open_files() -> None:
    assert descriptors_finding(65_536, 1000).state == "ok"
    assert descriptors_finding(1024, 1000).state == "warn"


def test_defaults_are_those_of_the_services() -> None:
    fields = OpsSettings.model_fields
    kinds = service_settings()
    for service, name in (("processor", "agent_max_sessions"), ("ingress", "max_connections")):
        assert fields[name].default == kinds[service].model_fields[name].default


@pytest.fixture
async def somewhere() -> AsyncIterator[str]:
    """A server that takes POST at the webhook and at /v1/traces, as ours and a collector do."""

    async def taken(_request: web.Request) -> web.Response:
        return web.Response()

    app = web.Application()
    app.router.add_post("/webhook/twilio/incoming", taken)
    app.router.add_post("/v1/traces", taken)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}"
    await runner.cleanup()


def settings(**given: str) -> OpsSettings:
    return OpsSettings(_env_file=None, **given)  # type: ignore[arg-type]  # as from the environment


async def test_the_questions_are_asked(somewhere: str) -> None:
    here = settings(
        public_base_url=somewhere, twilio_base_url=somewhere, otel_exporter_otlp_endpoint=somewhere
    )  # fmt: skip
    assert [one.state for one in await check_address(here)] == ["warn"]  # the ingress, without TLS
    assert [(one.subject, one.state) for one in await check_clock(here)] == [("clock", "ok")]
    assert [one.state for one in await check_traces(here)] == ["ok"]
    assert {one.subject for one in await check_host(here)} == {"limits", "templates"}


async def test_what_does_not_answer_is_said_and_is_no_crash() -> None:
    nowhere = "http://127.0.0.1:9"
    away = settings(public_base_url=nowhere, twilio_base_url=nowhere, otel_exporter_otlp_endpoint=nowhere)
    assert [one.state for one in await check_address(away)] == ["warn"]
    assert await check_clock(away) == []
    assert [one.state for one in await check_traces(away)] == ["warn"]
    assert [one.state for one in await check_traces(settings())] == ["ok"]
    with pytest.raises(ValidationError):  # refused at the start of each service, and of the doctor
        settings(otel_exporter_otlp_endpoint="collector:4318")
    assert await check_address(settings()) == []
