"""What traces cost a webhook: off, 5 % sampled, all of them; the arms take turns, with a collector that takes all."""

import statistics
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kit.probes import HttpServer
from sandbox.stack.ports import free_ports
from tests.bench.bench_ingress import PARTITIONS, Arm, Client, flat_out, ingress, middle, playing_twilio
from tests.bench.harness import Figure, bench
from tests.bench.kafka import Bench, kafka

__all__ = ["tracing_overhead"]

ROUNDS = 9
SHARES = {"off": None, "sampled_5_percent": "0.05", "sampled_all": "1"}


@bench
async def tracing_overhead() -> Figure:
    """CPU a webhook of the ingress with 5 % of its traces recorded and exported, against none."""
    async with kafka(PARTITIONS) as one, playing_twilio() as client, AsyncExitStack() as stack:
        spans: list[int] = []
        collector = await stack.enter_async_context(_collector(spans))
        arms = {name: await stack.enter_async_context(_arm(one, collector, share)) for name, share in SHARES.items()}
        await _rounds(client, list(arms.values()))
    cpu = {name: statistics.median(arm.cpu_us) for name, arm in arms.items()}
    return Figure(
        unit="CPU µs a webhook",
        ours=cpu["sampled_5_percent"],
        other=cpu["off"],
        other_is="the same ingress without OTEL_EXPORTER_OTLP_ENDPOINT",
        less_is_better=True,
        details={
            "all_against_off": round(statistics.median(_ratios(arms["sampled_all"], arms["off"])), 3),
            "5_percent_against_off": round(statistics.median(_ratios(arms["sampled_5_percent"], arms["off"])), 3),
            "bytes_exported": sum(spans),
            **{name: _details(arm) for name, arm in arms.items()},
        },
    )


async def _rounds(client: Client, arms: list[Arm]) -> None:
    for arm in arms:
        await client.run(arm)  # warm
    for number in range(ROUNDS):
        for arm in arms[:: -1 if number % 2 else 1]:
            await flat_out(client, arm)


def _ratios(arm: Arm, other: Arm) -> list[float]:
    """Round by round: what else the machine does is much the same in neighbours."""
    return [ours / theirs for ours, theirs in zip(arm.cpu_us, other.cpu_us, strict=True)]


def _details(arm: Arm) -> dict[str, Any]:
    return {
        "cpu_us": round(statistics.median(arm.cpu_us), 1),
        "cpu_us_rounds": [round(one, 1) for one in arm.cpu_us],
        "per_s": middle(arm.flat_out, "per_s"),
        "p99_ms": middle(arm.flat_out, "p99_ms"),
        "failed": sum(one["failed"] for one in arm.flat_out),
    }


@asynccontextmanager
async def _arm(one: Bench, collector: str, share: str | None) -> AsyncIterator[Arm]:
    traces = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector,
        "OTEL_TRACES_SAMPLER": "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER_ARG": share or "",
        "OTEL_BSP_MAX_QUEUE_SIZE": "50000",  # everything is exported, so that its cost is counted
    }
    async with ingress(one, 1, traces if share else {}) as arm:
        yield arm


@asynccontextmanager
async def _collector(received: list[int]) -> AsyncIterator[str]:
    async def take(request: Request) -> Response:
        received.append(len(await request.body()))
        return Response(b"", media_type="application/x-protobuf")

    (port,) = free_ports(1)
    server = HttpServer(Starlette(routes=[Route("/v1/traces", take, methods=["POST"])]), port, "PORT", "127.0.0.1")
    await server.start()
    yield f"http://127.0.0.1:{port}"
    await server.stop()
