"""The subscribers of one process, on one FastStream broker."""

import asyncio
from collections.abc import Sequence

from aiokafka.errors import KafkaError
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512

from kit.errors import BrokerDown, Misconfigured
from kit.kafka import topics
from kit.kafka.broker import ssl_context
from kit.kafka.subscriber import Subscriber
from kit.logs import get_log
from kit.settings import KafkaSettings

__all__ = ["Consumers"]

RETRY_S = 2.0


class Consumers:
    """Starts when Kafka is there and the topics are; stops after running handlers finished."""

    def __init__(self, settings: KafkaSettings, subscribers: Sequence[Subscriber]) -> None:
        self._settings = settings
        self._broker = _broker(settings)
        self._log = get_log("consumers")
        for subscriber in subscribers:
            subscriber.attach(self._broker)

    async def start(self) -> None:
        """Waits for a broker that is away. Raises Misconfigured when a topic is missing."""
        while True:
            try:
                await self._require_topics()
                await self._broker.start()
            except (BrokerDown, KafkaError, OSError) as error:
                self._log.warning("Kafka not reached", error=str(error), retry_in_s=RETRY_S)
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def stop(self) -> None:
        await self._broker.stop()

    async def _require_topics(self) -> None:
        missing = [one.subject for one in await topics.check(self._settings) if one.state == "fail"]
        if missing:
            raise Misconfigured([f"topic {name} is missing: run `hilo topics create`" for name in missing])


def _broker(settings: KafkaSettings) -> KafkaBroker:
    """FastStream's broker for subscribers. Publishing goes through the outlet, which has deadlines."""
    return KafkaBroker(
        settings.kafka_bootstrap_servers,
        security=_security(settings),
        consumer_only=True,
        allow_auto_create_topics=False,  # FastStream would create a missing topic with one partition
        logger=None,  # one line of ours per outcome instead of two of its per record
        graceful_timeout=25.0,  # s; `None` would mean "do not wait"
    )


def _security(settings: KafkaSettings) -> BaseSecurity | None:
    context, encrypted = ssl_context(settings), settings.kafka_security_protocol in {"SSL", "SASL_SSL"}
    if not settings.kafka_security_protocol.startswith("SASL"):
        return BaseSecurity(ssl_context=context, use_ssl=True) if encrypted else None
    kinds = {"PLAIN": SASLPlaintext, "SCRAM-SHA-256": SASLScram256, "SCRAM-SHA-512": SASLScram512}
    password = settings.kafka_sasl_password
    return kinds[settings.kafka_sasl_mechanism](
        username=settings.kafka_sasl_username or "",
        password=password.get_secret_value() if password else "",
        ssl_context=context,
        use_ssl=encrypted,
    )
