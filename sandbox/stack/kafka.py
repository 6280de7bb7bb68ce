"""One real Kafka broker (KRaft, broker and controller in one process) on 127.0.0.1."""

from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.stack.aot import aot_options
from sandbox.stack.child import Child
from sandbox.stack.folder import DataFolder
from sandbox.stack.jars import Progress, default_cache, jar_paths, silent
from sandbox.stack.java import java_command, java_environment
from sandbox.stack.kafka_format import NODE_ID, ensure_formatted
from sandbox.stack.ports import HOST, free_ports, require_free
from sandbox.stack.readiness import until_ready, with_port_retries

HEAP_MB = 512
READY_WITHIN_S = 60  # 1.1-2.7 s on two idle cores; a busy CI machine is slower by far
STOP_GRACE_S = 5  # a clean shutdown takes 0.3 s
Properties = Callable[[int, int], str]
"""Port of the plain listener and of the controller → the broker's settings."""


class KafkaServer:
    """A broker whose records outlive `stop()` and `kill()` as long as `data` is kept.

    Without `port` it takes a free one, possibly another at every start. One server per data folder:
    `start()` refuses a second one, which Kafka itself would let destroy the first one's metadata log.
    """

    def __init__(
        self,
        data: Path,
        port: int | None = None,
        *,
        cache: Path | None = None,
        progress: Progress = silent,
        port_setting: str = "--kafka-port",
        jvm_options: Sequence[str] | None = None,
        properties: Properties | None = None,
    ) -> None:
        self._folder = DataFolder(data / "kafka")
        self._log = data.absolute() / "logs" / "kafka.log"
        self._wanted_port = port
        self._cache = (cache or default_cache()).absolute()
        self._progress = progress
        self._port_setting = port_setting
        self._jvm_options = jvm_options
        self._properties = properties or server_properties
        self._port = 0
        self._child: Child | None = None

    @property
    def bootstrap_servers(self) -> str:
        return f"{HOST}:{self._port}"

    @property
    def child(self) -> Child:
        """The broker's process."""
        if self._child is None:
            raise RuntimeError("Kafka has not been started")
        return self._child

    async def start(self) -> None:
        """Fetch, format and run what is needed; returns when the broker answers. Raises `StackError`."""
        if self._child and self._child.returncode is None:
            raise RuntimeError("Kafka runs already: stop or kill it first")
        if self._wanted_port:
            require_free(self._wanted_port, purpose="Kafka", setting=self._port_setting)
        jars = await jar_paths("kafka", self._cache, self._progress)
        await self._folder.claim()
        try:
            await ensure_formatted(self._folder.path, jars, self._cache, log=self._log)
            await with_port_retries(lambda: self._run(jars), lambda: self._child, fixed=self._wanted_port)
        except BaseException:
            await self.stop()
            raise

    async def stop(self, grace: float = STOP_GRACE_S) -> None:
        """Shut down cleanly, or by force after `grace` seconds; harmless when it does not run."""
        await self._end(grace)

    async def restart(self) -> None:
        """Shut down cleanly and start again on the same port. Raises `StackError`."""
        await self.stop()
        self._wanted_port = self._port
        await self.start()

    async def kill(self) -> None:
        """Kill -9 and wait for the end; `start()` works again after it."""
        if self._child:
            self._child.kill()  # before the SIGTERM of an ordinary end, which would be a shorter shutdown
        await self._end(0)

    async def _end(self, grace: float) -> None:
        if self._child:
            await self._child.stop(grace)
        self._folder.release()

    async def _run(self, jars: list[Path]) -> None:
        ports = free_ports(2)
        self._port = self._wanted_port or ports[0]
        properties = self._folder.path / "server.properties"
        properties.write_text(self._properties(self._port, ports[1]), encoding="utf-8")
        options = aot_options(self._cache) if self._jvm_options is None else self._jvm_options
        command = java_command(jars, "kafka.Kafka", properties.name, heap_mb=HEAP_MB, options=options)
        # Kafka reads the file as ISO-8859-1 and splits its folders at commas: relative names avoid both.
        child = Child(
            "Kafka",
            command,
            log=self._log,
            env=java_environment(),
            cwd=self._folder.path,
            inherits=[self._folder.handle],
        )
        await child.start()
        self._child = child
        await until_ready(child, self._port, self._has_broker, within=READY_WITHIN_S)

    async def _has_broker(self) -> bool:
        from aiokafka.admin import AIOKafkaAdminClient
        from aiokafka.errors import KafkaError

        client = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            await client.start()
            if not (await client.describe_cluster())["brokers"]:
                return False
            # Makes the offsets topic: the first consumer group would else meet "coordinator not available".
            await client.find_coordinator("hilo-sandbox")
        except (KafkaError, OSError, TimeoutError):
            return False
        finally:
            await client.close()
        return True

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


def server_properties(port: int, controller_port: int) -> str:
    """Return the broker's settings; names of folders are relative to its data folder."""
    settings: dict[str, str | int] = {
        "process.roles": "broker,controller",
        "node.id": NODE_ID,
        "controller.quorum.voters": f"{NODE_ID}@{HOST}:{controller_port}",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": "log",
        # A topic that nobody provisioned is a mistake to be seen, here as in production.
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 12,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # The default is 6 s: tests of a lost consumer would wait that long.
        "group.min.session.timeout.ms": 1000,
        # A killed broker's registration stands for this long, and the next start waits for it: 9 s by default.
        "broker.session.timeout.ms": 2500,
        "broker.heartbeat.interval.ms": 500,
        # The default reserves 128 MB of heap for compaction.
        "log.cleaner.dedupe.buffer.size": 16 << 20,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
