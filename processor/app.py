"""Bootstrap of the processor: the only place that builds its clients."""

from datetime import timedelta

from kit.http import PooledClient
from kit.kafka.broker import client_options
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.lanes import Subscription
from kit.kafka.outlet import Outlet
from kit.kafka.subscriber import Timing
from kit.lanes import Limits
from kit.media import TwilioMedia
from kit.mongo import Mongo
from kit.probes import HttpServer, probes
from kit.reads import Reads
from kit.service import Service, Tools, run
from kit.twilio import Twilio
from processor.agent.calls import CallRecords
from processor.agent.client import PersistentAgent
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.answering import Answering
from processor.drafting import Drafting
from processor.drafts import Policy
from processor.hearing import Hearing
from processor.identity import Links
from processor.looking import Looking
from processor.presence import Presence
from processor.relay import Relay
from processor.repository import Repository
from processor.settings import ProcessorSettings
from processor.stages import Stages
from processor.thought import MOST_DRAFTS, Quiet
from processor.transcribing import ElevenLabsTranscriber
from processor.turns import TurnHandler, one_thought
from schemas.topics import CALL_COMPLETED, CONTACT_LOG

__all__ = ["build", "main"]

# s: when partitions move, also after a kill -9, every process waits for the slowest turn of all. With 12 s and an agent
# of 15 s the next turn started 19 s after the kill. A turn that is cut off is asked again by whoever has its partition.
TIMING = Timing(revoke_grace=1.0)


def build(settings: ProcessorSettings, tools: Tools) -> Service:
    service = Service(tools)
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    mongo, http = Mongo(settings), PooledClient()
    relay, rules = Relay(outlet, tools), policy(settings)
    url, key = settings.elevenlabs_base_url, settings.elevenlabs_api_key.get_secret_value()
    agent = _agent(settings, http, tools)
    presence = Presence(Twilio(settings, http), tools.clock, tools.metrics)
    media, transcriber = TwilioMedia(settings), ElevenLabsTranscriber(url, key)
    hearing = Hearing(media.sound, transcriber, tools.metrics) if settings.transcription == "elevenlabs" else None
    repository = Repository(mongo.database)
    drafting = Drafting(
        repository,
        _answering(agent, settings, tools),
        Looking(repository, Reads(mongo.database), hearing),
        rules,
        tools.clock,
        calls=CallRecords(url, key, http, tools.clock),
        presence=presence,
        forget=agent.drop,
    )
    turns = TurnHandler(repository, drafting, outlet, rules, Links(repository, outlet), tools)
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    consumers = Consumers(settings, _subscriptions(settings, relay, turns, agent), letters, tools, TIMING)
    health = HttpServer(probes(service), settings.health_port, "HEALTH_PORT")
    service.parts = (health, outlet, mongo, http, media, transcriber, presence, agent, consumers)
    return service


def _subscriptions(
    settings: ProcessorSettings, relay: Relay, turns: TurnHandler, agent: ElevenLabsAgent
) -> list[Subscription]:
    return [
        Subscription(CALL_COMPLETED, relay.handle, on_buried=relay.rejected),
        Subscription(
            CONTACT_LOG,
            turns.handle,
            cut=one_thought,
            on_buried=turns.buried,
            on_revoked=agent.release,
            limits=_limits(settings),
        ),
    ]


def _limits(settings: ProcessorSettings) -> Limits:
    """A turn may wait for a session behind every other lane; only then does its own time begin, once for each draft."""
    rounds = 1 + MOST_DRAFTS + settings.concurrency / settings.agent_max_sessions
    return Limits.for_concurrency(settings.concurrency, settings.agent_deadline_s * rounds + 45)


def policy(settings: ProcessorSettings) -> Policy:
    return Policy(
        channels=settings.twilio_whatsapp_numbers,
        default_agent_id=settings.default_agent_id,
        default_language=settings.default_language,
        greeting_template_sid=settings.greeting_template_sid,
        reply_max_age=timedelta(seconds=settings.reply_max_age_s),
        turns_per_hour=settings.contact_turns_per_hour,
    )


def _agent(settings: ProcessorSettings, http: PooledClient, tools: Tools) -> ElevenLabsAgent:
    signed = http if settings.elevenlabs_auth == "signed_url" else None
    url, key = settings.elevenlabs_base_url, settings.elevenlabs_api_key.get_secret_value()
    size = settings.agent_max_sessions
    return ElevenLabsAgent(url, key, tools.clock, size=size, signed_over=signed, metrics=tools.metrics)


def _answering(agent: ElevenLabsAgent, settings: ProcessorSettings, tools: Tools) -> Answering:
    persistent = PersistentAgent(
        agent,
        tools.clock,
        tools.metrics,
        attempts=settings.agent_attempts,
        backoff_s=settings.agent_backoff_s,
        deadline_s=settings.agent_deadline_s,
    )
    quiet = Quiet(settings.quiet_ms / 1000, settings.quiet_max_ms / 1000)
    stages = Stages(tools.metrics, tools.clock)
    return Answering(persistent, tools.clock, quiet, lambda: tools.metrics.count("hilo_drafts_stale_total"), stages)


def main() -> int:
    return run("processor", ProcessorSettings, build)
