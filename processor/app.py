"""Bootstrap of the processor: the only place that builds its clients."""

from datetime import timedelta

from kit.http import PooledClient
from kit.kafka.broker import client_options
from kit.kafka.consumers import Consumers
from kit.kafka.dead_letters import DeadLetters
from kit.kafka.lanes import Subscription
from kit.kafka.outlet import Outlet
from kit.lanes import Limits
from kit.mongo import Mongo
from kit.probes import HttpServer, probes
from kit.service import Service, Tools, run
from processor.agent.calls import CallRecords
from processor.agent.client import PersistentAgent
from processor.agent.elevenlabs import ElevenLabsAgent
from processor.decisions import Policy
from processor.relay import Relay
from processor.repository import Repository
from processor.settings import ProcessorSettings
from processor.turns import TurnHandler
from schemas.topics import CALL_COMPLETED, CONTACT_LOG

__all__ = ["build", "main"]


def build(settings: ProcessorSettings, tools: Tools) -> Service:
    service = Service(tools)
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    mongo = Mongo(settings)
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    relay = Relay(outlet, tools)
    url, key = settings.elevenlabs_base_url, settings.elevenlabs_api_key.get_secret_value()
    http = PooledClient()
    signed = http if settings.elevenlabs_auth == "signed_url" else None
    agent = ElevenLabsAgent(
        url, key, tools.clock, size=settings.agent_max_sessions, signed_over=signed, metrics=tools.metrics
    )
    turns = TurnHandler(
        Repository(mongo.database),
        _persistent(agent, settings, tools),
        outlet,
        policy(settings),
        tools,
        CallRecords(url, key, http, tools.clock),
    )

    consumers = Consumers(
        settings,
        [
            Subscription(CALL_COMPLETED, relay.handle, on_buried=relay.rejected),
            Subscription(CONTACT_LOG, turns.handle, limits=_limits(settings), on_revoked=agent.release),
        ],
        letters,
        tools,
    )
    service.parts = (
        HttpServer(probes(service), settings.health_port, "HEALTH_PORT"),
        outlet,
        mongo,
        http,
        agent,
        consumers,
    )
    return service


def _limits(settings: ProcessorSettings) -> Limits:
    """A turn may wait for a session behind every other lane; only then does its own time begin."""
    rounds = 1 + settings.concurrency / settings.agent_max_sessions
    return Limits(concurrency=settings.concurrency, handler_s=settings.agent_deadline_s * rounds + 15)


def policy(settings: ProcessorSettings) -> Policy:
    return Policy(
        channels=settings.twilio_whatsapp_numbers,
        default_agent_id=settings.default_agent_id,
        default_language=settings.default_language,
        greeting_template_sid=settings.greeting_template_sid,
        reply_max_age=timedelta(seconds=settings.reply_max_age_s),
    )


def _persistent(agent: ElevenLabsAgent, settings: ProcessorSettings, tools: Tools) -> PersistentAgent:
    return PersistentAgent(
        agent,
        tools.clock,
        tools.metrics,
        attempts=settings.agent_attempts,
        backoff_s=settings.agent_backoff_s,
        deadline_s=settings.agent_deadline_s,
    )


def main() -> int:
    return run("processor", ProcessorSettings, build)
