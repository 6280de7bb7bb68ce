"""Bootstrap of the janitor: the only place that builds its clients."""

from datetime import timedelta

from janitor.gaps import Gaps
from janitor.invariants import Invariants
from janitor.lag import Lag
from janitor.settings import JanitorSettings
from janitor.sweep import Sweep
from kit.http import PooledClient
from kit.kafka.broker import client_options
from kit.kafka.outlet import Outlet
from kit.mongo import Mongo
from kit.probes import HttpServer, probes
from kit.reads import Reads
from kit.service import Service, Tools, run
from kit.twilio import Twilio

__all__ = ["build", "main"]


def build(settings: JanitorSettings, tools: Tools) -> Service:
    service = Service(tools)
    outlet = Outlet(client_options(settings), settings.kafka_topic_prefix, tools.clock, tools.metrics)
    mongo = Mongo(settings)
    sweep = Sweep(
        Reads(mongo.database),
        outlet,
        tools,
        idle=timedelta(hours=settings.close_after_h),
        every=timedelta(seconds=settings.sweep_every_s),
    )
    http = PooledClient(concurrency=4)
    gaps = Gaps(
        Twilio(settings, http),
        Reads(mongo.database),
        outlet,
        tools,
        channels=settings.twilio_whatsapp_numbers,
        every=timedelta(seconds=settings.gap_every_s),
        overlap=timedelta(seconds=settings.gap_overlap_s),
        lookback=timedelta(hours=settings.gap_lookback_h),
    )
    every = timedelta(seconds=settings.invariants_every_s)
    invariants = Invariants(Reads(mongo.database), settings, tools, every)
    server = HttpServer(probes(service), settings.health_port, "HEALTH_PORT")
    lag = Lag(settings, tools, timedelta(seconds=settings.lag_every_s))
    service.parts = (server, outlet, mongo, http, sweep, gaps, invariants, lag)
    return service


def main() -> int:
    return run("janitor", JanitorSettings, build)
