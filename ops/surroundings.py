"""What `hilo doctor` asks of this host and of what is around the services. Nothing here changes anything."""

import resource
from email.utils import parsedate_to_datetime

from kit.clock import SystemClock
from kit.errors import NoAnswer
from kit.http import Answer, PooledClient
from kit.kafka.broker import prefixed
from kit.kafka.topics import Finding, admin
from ops.installation import (
    address_finding,
    clock_finding,
    descriptors_finding,
    replication_finding,
    templates_finding,
)
from ops.settings import OpsSettings
from schemas.topics import TOPICS

__all__ = ["check_address", "check_clock", "check_copies", "check_host", "check_traces"]


async def check_copies(settings: OpsSettings) -> list[Finding]:
    """Raises BrokerDown. Nothing where there is no topic yet: the topics' own lines say so."""
    async with admin(settings) as client:
        brokers = len((await client.describe_cluster())["brokers"])
        present = set(await client.list_topics()) & {prefixed(settings, topic.name) for topic in TOPICS}
        topics = await client.describe_topics(sorted(present)) if present else []
    replicas = [len(partition["replicas"]) for topic in topics for partition in topic["partitions"]]
    return [replication_finding(brokers, min(replicas))] if replicas else []


async def check_address(settings: OpsSettings) -> list[Finding]:
    if not settings.public_base_url:
        return []  # the ingress's own settings say so
    answer = await _asked("GET", f"{settings.public_base_url}/webhook/twilio/incoming")
    return [address_finding(settings.public_base_url, answer.status if answer else None)]


async def check_clock(settings: OpsSettings) -> list[Finding]:
    """The real clock, also where a sandbox has moved its own."""
    answer = await _asked("GET", settings.twilio_base_url)
    told = answer.headers.get("Date") if answer else None
    if told is None:
        return []  # Twilio's own line says that it is away
    skew = (SystemClock().now() - parsedate_to_datetime(told)).total_seconds()
    return [clock_finding("Twilio", skew)]


async def check_traces(settings: OpsSettings) -> list[Finding]:
    endpoint = settings.otel_exporter_otlp_endpoint
    if not endpoint:
        return [Finding("traces", "ok", "off (OTEL_EXPORTER_OTLP_ENDPOINT is not set)")]
    if await _asked("GET", f"{endpoint.rstrip('/')}/v1/traces"):
        return [Finding("traces", "ok", f"{endpoint} answers")]
    return [Finding("traces", "warn", f"{endpoint} does not answer", "start the collector (OTLP over HTTP, port 4318)")]


async def check_host(settings: OpsSettings) -> list[Finding]:
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    sockets = max(settings.agent_max_sessions, settings.max_connections)
    return [
        descriptors_finding(limit, sockets),
        templates_finding(settings.greeting_template_sid, settings.reengage_template_sid),
    ]


async def _asked(method: str, url: str) -> Answer | None:
    """None where nothing answered."""
    http = PooledClient(concurrency=1, total_s=5)
    try:
        return await http.request(method, url)
    except (NoAnswer, ValueError):  # no answer, or no address
        return None
    finally:
        await http.stop()
