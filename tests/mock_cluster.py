"""A Kafka whose faults are on demand: librdkafka's mock cluster, which the wheel of confluent-kafka carries along.

It speaks the protocol over real sockets: groups, commits, idempotent produce. It lacks what tests of faults do not
need: topics through the admin API, retention, transactions. And it is stricter than Kafka: while a group rebalances
it refuses every commit.
"""

import asyncio
import ctypes
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from importlib import resources
from typing import Any

import pytest
from aiokafka.consumer.group_coordinator import GroupCoordinator
from aiokafka.errors import BrokerResponseError

__all__ = ["MockCluster", "mock_cluster", "slow_leader"]

BROKER = 1  # it has one, with this id
PRODUCER, NO_ERROR = 0, 0
QUIET = b"0"
POINTER = ctypes.c_void_p


class MockCluster:
    """One broker. Faults are by API: `OffsetCommitRequest.API_KEY` and its like."""

    def __init__(self, library: ctypes.CDLL, cluster: int) -> None:
        self._library = library
        self._cluster = POINTER(cluster)
        self.bootstrap_servers: str = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)

    def create_topic(self, name: str, partitions: int) -> None:
        self._check(self._library.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, 1))

    def fail(self, api: int, error: type[BrokerResponseError], times: int = 1) -> None:
        """The next `times` requests of this API are answered with `error`."""
        codes = (ctypes.c_int * times)(*[error.errno] * times)
        self._library.rd_kafka_mock_push_request_errors_array(self._cluster, ctypes.c_int16(api), times, codes)

    def delay(self, api: int, seconds: float, times: int = 1) -> None:
        """The next `times` requests of this API are answered well, but late."""
        late = [ctypes.c_int(one) for _ in range(times) for one in (NO_ERROR, int(seconds * 1000))]
        push = self._library.rd_kafka_mock_broker_push_request_error_rtts
        self._check(push(self._cluster, BROKER, ctypes.c_int16(api), ctypes.c_size_t(times), *late))

    def heal(self, api: int) -> None:
        """Forget the faults of this API that nobody has met."""
        self._library.rd_kafka_mock_clear_request_errors(self._cluster, ctypes.c_int16(api))

    def down(self) -> None:
        """Every connection breaks, and no new one is taken."""
        self._check(self._library.rd_kafka_mock_broker_set_down(self._cluster, BROKER))

    def up(self) -> None:
        self._check(self._library.rd_kafka_mock_broker_set_up(self._cluster, BROKER))

    def slow(self, seconds: float) -> None:
        """Every answer takes so long."""
        self._check(self._library.rd_kafka_mock_broker_set_rtt(self._cluster, BROKER, int(seconds * 1000)))

    def _check(self, code: int) -> None:
        assert code == NO_ERROR, f"librdkafka's error {code}"


@asynccontextmanager
async def mock_cluster() -> AsyncIterator[MockCluster]:
    library = _library()
    options = library.rd_kafka_conf_new()
    why = ctypes.create_string_buffer(512)
    library.rd_kafka_conf_set(POINTER(options), b"log_level", QUIET, why, len(why))
    host = library.rd_kafka_new(PRODUCER, POINTER(options), why, len(why))
    assert host, why.value.decode()
    cluster = library.rd_kafka_mock_cluster_new(POINTER(host), 1)
    try:
        yield MockCluster(library, cluster)
    finally:
        library.rd_kafka_mock_cluster_destroy(POINTER(cluster))
        await asyncio.to_thread(library.rd_kafka_destroy, POINTER(host))  # waits for its threads


def slow_leader(patch: pytest.MonkeyPatch) -> None:
    """For groups of several: the mock rejects a follower whose SyncGroup comes after the leader's."""
    assign = GroupCoordinator._perform_assignment

    async def later(self: GroupCoordinator, response: Any) -> Any:
        await asyncio.sleep(0.15)
        return await assign(self, response)

    patch.setattr(GroupCoordinator, "_perform_assignment", later)


@cache
def _library() -> ctypes.CDLL:
    import confluent_kafka  # loads the library, and so finds its own dependencies

    shared = resources.files(confluent_kafka).parent / "confluent_kafka.libs"  # type: ignore[attr-defined]
    (path,) = [one for one in shared.iterdir() if one.name.startswith("librdkafka")]
    library = ctypes.CDLL(str(path))
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    for makes_pointer in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, makes_pointer).restype = POINTER
    return library
