"""The end of the log, read outside of any group: what comes in is heard at once, and nothing is ever committed."""

import asyncio
from collections.abc import Callable

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from kit.kafka.broker import prefixed
from kit.kafka.delivery import Raw, decoder
from kit.kafka.groupless import groupless
from kit.kafka.reading import partitions_of
from kit.logs import get_log
from kit.settings import KafkaSettings
from schemas.attributes import Envelope, Undecodable
from schemas.events import Event
from schemas.topics import CONTACT_LOG, MESSAGE_OUTBOUND, MESSAGE_STATUS, SYSTEM_NOTICES

__all__ = ["TOPICS", "Tail"]

TOPICS = (CONTACT_LOG, MESSAGE_OUTBOUND, MESSAGE_STATUS, SYSTEM_NOTICES)
RETRY_S = 1.0
LOOK_S = 2.0  # between questions whether the broker is there: a consumer does not tell
ANSWER_S = 3.0
POLL_MS = 1000


class Tail:
    """From where the topics end at the start; after an outage from where it was. `up` tells how it is."""

    def __init__(
        self,
        settings: KafkaSettings,
        heard: Callable[[Envelope[Event]], None],
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        """`heard` gets every record, in order per contact; `changed` is called when `up` is another."""
        self._settings = settings
        self._heard = heard
        self._changed = changed
        self._log = get_log("tail")
        self._decoders = {prefixed(settings, topic.name): decoder(topic) for topic in TOPICS}
        self._positions: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None
        self.listening = asyncio.Event()

    @property
    def up(self) -> bool:
        return self.listening.is_set()

    async def start(self) -> None:
        """Returns at once: an outage of Kafka is something that the pages say."""
        self._task = asyncio.create_task(self._run(), name="tail")

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except (KafkaError, OSError, TimeoutError) as error:
                self._log.warning("Kafka not reached", error=type(error).__name__, retry_in_s=RETRY_S)
            self._is(up=False)
            await asyncio.sleep(RETRY_S)

    async def _listen(self) -> None:
        """Until the broker goes away."""
        options = {
            "auto_offset_reset": "latest",
            "retry_backoff_ms": 50,
            "request_timeout_ms": int(ANSWER_S * 1000),  # it comes with 40 s: so long nobody is left waiting
        }
        async with groupless(self._settings, **options) as consumer:
            async with asyncio.timeout(ANSWER_S * 3):
                await self._assign(consumer)
            self._is(up=True)
            work = [asyncio.create_task(one(consumer)) for one in (self._read, self._look)]
            try:
                await asyncio.gather(*work)
            finally:
                for one in work:
                    one.cancel()
                await asyncio.gather(*work, return_exceptions=True)

    async def _assign(self, consumer: AIOKafkaConsumer) -> None:
        partitions: list[TopicPartition] = []
        for topic in self._decoders:
            partitions += await partitions_of(consumer, topic)
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        for one in partitions:
            at = min(self._positions.get(one, ends[one]), ends[one])
            self._positions[one] = at
            consumer.seek(one, at)

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            found = await consumer.getmany(timeout_ms=POLL_MS)
            for partition, records in found.items():
                for raw in records:
                    self._positions[partition] = raw.offset + 1
                    self._tell(raw)

    def _tell(self, raw: Raw) -> None:
        try:
            delivery = self._decoders[raw.topic](raw)
        except Undecodable:
            return  # the consumer whose topic it is buries it
        try:
            self._heard(delivery.envelope)
        except Exception:  # noqa: BLE001  # one record that cannot be shown must not stop the others
            self._log.exception("not shown", topic=raw.topic, offset=raw.offset)

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Raises TimeoutError where the broker does not answer, or has more than the consumer brings."""
        behind: dict[TopicPartition, int] = {}
        while True:
            await asyncio.sleep(LOOK_S)
            async with asyncio.timeout(ANSWER_S):
                ends = await consumer.end_offsets(list(self._positions))
            stuck = [one for one, at in behind.items() if self._positions[one] == at < ends[one]]
            if stuck:
                raise TimeoutError(f"{len(stuck)} partitions stand still")
            behind = {one: at for one, at in self._positions.items() if at < ends[one]}

    def _is(self, *, up: bool) -> None:
        if up != self.up:
            self._log.info("listening" if up else "reconnecting")
            (self.listening.set if up else self.listening.clear)()
            self._changed()
