"""`hilo doctor`: is everything there that the services need? One line each, with the remedy."""

from collections.abc import Awaitable, Callable

from pymongo.errors import OperationFailure

from kit.errors import HiloError, Misconfigured
from kit.http import PooledClient
from kit.kafka import topics
from kit.kafka.topics import Finding
from kit.mongo import Mongo, store_errors
from kit.settings import TwilioSettings, load
from kit.twilio import Twilio
from ops.agent_check import check_agent
from ops.installation import store_finding
from ops.output import JSON, runs
from ops.settings import OpsSettings, service_settings
from ops.surroundings import check_address, check_clock, check_copies, check_host, check_traces
from ops.topics import report

__all__ = ["doctor"]

Check = Callable[[OpsSettings], Awaitable[list[Finding]]]


@runs
async def doctor(as_json: bool = JSON) -> None:
    """Check settings, Kafka, MongoDB, Twilio, ElevenLabs, the address, clock and limits; exit code 1 on a failure."""
    findings = _settings()
    settings = load(OpsSettings)
    checks: tuple[tuple[str, Check], ...] = (
        ("Kafka", _kafka),
        ("Kafka: copies", check_copies),
        ("MongoDB", _mongo),
        ("Twilio", _twilio),
        ("ElevenLabs", check_agent),
        ("PUBLIC_BASE_URL", check_address),
        ("clock", check_clock),
        ("traces", check_traces),
        ("this host", check_host),
    )
    for subject, check in checks:
        try:
            findings += await check(settings)
        except HiloError as error:
            remedy = "correct it" if isinstance(error, Misconfigured) else "start it, or correct its setting"
            if str(error) not in {one.detail for one in findings}:  # two checks may meet the same fault
                findings.append(Finding(subject, "fail", str(error), remedy))
    report(findings, as_json=as_json)


def _settings() -> list[Finding]:
    findings = []
    for name, kind in service_settings().items():
        try:
            load(kind)
        except Misconfigured as error:
            findings += [Finding(f"settings: {name}", "fail", fault, "see .env.example") for fault in error.faults]
        else:
            findings.append(Finding(f"settings: {name}", "ok", "complete"))
    return findings


async def _kafka(settings: OpsSettings) -> list[Finding]:
    found = await topics.check(settings)
    return [Finding("Kafka", "ok", settings.kafka_bootstrap_servers), *found]


async def _mongo(settings: OpsSettings) -> list[Finding]:
    mongo = Mongo(settings)
    try:
        with store_errors():
            await mongo.prepare()
            version = await _version(mongo)
            hello = await mongo.database.client.admin.command("hello") if version else {}
    finally:
        await mongo.stop()
    if version is None:
        detail = "embedded server: for a sandbox and tests only"
        return [Finding("MongoDB", "warn", detail, "set MONGODB_URI to a MongoDB replica set")]
    return [store_finding(version, hello)]


async def _version(mongo: Mongo) -> str | None:
    """None for the sandbox's server, which does not know this command."""
    try:
        return str((await mongo.database.command("buildInfo"))["version"])
    except OperationFailure:
        return None


async def _twilio(settings: OpsSettings) -> list[Finding]:
    if not settings.twilio_account_sid:
        return [Finding("Twilio", "fail", "TWILIO_ACCOUNT_SID is missing", "see .env.example")]
    http = PooledClient(concurrency=1)
    try:
        found = await Twilio(load(TwilioSettings), http).reachable()
    finally:
        await http.stop()
    if found.outcome == "ACCEPTED":
        return [Finding("Twilio", "ok", f"account {settings.twilio_account_sid[:6]}… answers")]
    remedy = "check TWILIO_ACCOUNT_SID and its token or API key" if found.outcome == "CONFIG" else "TWILIO_BASE_URL?"
    return [Finding("Twilio", "fail", f"{found.outcome}: {found.detail}", remedy)]
