"""Bootstrap of the sender: the only place that builds its clients."""

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
from kit.twilio import Twilio
from schemas.topics import MESSAGE_OUTBOUND, MESSAGE_STATUS
from sender.debts import Debts
from sender.delivery import DeliveryHandler
from sender.effects import EffectLedger
from sender.fences import Fences
from sender.pacing import Pacer
from sender.posting import Poster
from sender.reconcile import Reconciliation
from sender.settings import SenderSettings
from sender.statuses import StatusHandler
from sender.telling import Teller

__all__ = ["build", "main"]


def build(settings: SenderSettings, tools: Tools) -> Service:
    service = Service(tools)
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    mongo = Mongo(settings)
    http = PooledClient()
    letters = DeadLetters(outlet, tools.clock, tools.metrics)
    ledger = EffectLedger(mongo.database, tools.clock, settings.send_lease_s)
    twilio = Twilio(settings, http)
    teller = Teller(outlet, ledger, tools)
    poster = Poster(ledger, twilio, teller, Pacer(tools.clock, settings.sends_per_s), settings.public_base_url, tools)
    fences = Fences(mongo.database, ledger, teller)
    debts = Debts(ledger, poster, fences, teller, tools)
    delivery = DeliveryHandler(ledger, poster, fences, debts, settings.reengage_template_sid, tools)
    statuses = StatusHandler(ledger, debts, fences, teller, tools)
    reconciliation = Reconciliation(ledger, twilio, statuses, tools)
    limits = Limits.for_concurrency(settings.concurrency)
    consumers = Consumers(
        settings,
        [
            Subscription(MESSAGE_OUTBOUND, delivery.handle, limits=limits),
            Subscription(MESSAGE_STATUS, statuses.handle, limits=limits),
        ],
        letters,
        tools,
    )
    health = HttpServer(probes(service), settings.health_port, "HEALTH_PORT")
    service.parts = (health, outlet, mongo, http, consumers, reconciliation)
    return service


def main() -> int:
    return run("sender", SenderSettings, build)
