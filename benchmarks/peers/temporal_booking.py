"""A booking as a Temporal workflow of three activities: hold the slot, hold the credit, reserve.

Temporal (https://docs.temporal.io) is a server that records each step in PostgreSQL; workflows and activities run in a worker
in Python. The worker scales its pollers by itself, as its guide to performance recommends; clients run in the same process.
What it does not do here: no broker and no events, no HTTP, no sign-in, no idempotency keys, no refusals, no expiry of holds,
and one service instead of three.

    python -m peers.temporal_booking --server postgresql://postgres@127.0.0.1:5432/postgres --tools ../.makegood/peers
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from datetime import timedelta
from pathlib import Path

from temporalio import activity, workflow
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import PollerBehaviorAutoscaling, Worker

with workflow.unsafe.imports_passed_through():
    from measuring import Numbers, PeerOptions, closed_loop, peer_main
    from scratch import scratch_database

    from peers import steps
    from peers.temporal_server import temporal_server

_QUEUE, _NAMESPACE = "bookings", "booking"
_STEP = timedelta(seconds=30)
_PATIENCE = 60.0


# Functions of this module, because Temporal's sandbox runs it once more, and a function cannot become an activity twice.


@activity.defn
async def hold_slot(number: int) -> bool:
    return await steps.hold_slot(number)


@activity.defn
async def hold_credit(number: int) -> bool:
    return await steps.hold_credit(number)


@activity.defn
async def reserve(number: int) -> bool:
    return await steps.reserve(number)


@workflow.defn
class Booking:
    @workflow.run
    async def run(self, number: int) -> bool:
        return (
            await workflow.execute_activity(hold_slot, number, start_to_close_timeout=_STEP)
            and await workflow.execute_activity(hold_credit, number, start_to_close_timeout=_STEP)
            and await workflow.execute_activity(reserve, number, start_to_close_timeout=_STEP)
        )


async def _connect(address: str) -> Client:
    """A client of a namespace of its own, once the server knows it."""
    client = await Client.connect(address, namespace=_NAMESPACE, lazy=True)
    request = RegisterNamespaceRequest(namespace=_NAMESPACE)
    request.workflow_execution_retention_period.FromTimedelta(timedelta(days=1))
    until = time.monotonic() + _PATIENCE
    registered = False
    while True:
        try:
            if not registered:
                await client.workflow_service.register_namespace(request)
                registered = True
            await client.count_workflows()
            return await Client.connect(address, namespace=_NAMESPACE)  # a worker takes no lazy client
        except (RPCError, RuntimeError):  # it listens before it is ready
            if time.monotonic() > until:
                raise
            await asyncio.sleep(0.5)


async def _measure(options: PeerOptions) -> dict[int, Numbers]:
    results: dict[int, Numbers] = {}
    with tempfile.TemporaryDirectory() as name:
        async with (
            scratch_database(options.server, "makegood_bench_temporal") as url,
            temporal_server(options.server, options.tools, Path(name)) as address,
        ):
            client = await _connect(address)
            await steps.connect(url)
            worker = Worker(
                client,
                task_queue=_QUEUE,
                workflows=[Booking],
                activities=[hold_slot, hold_credit, reserve],
                workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
                activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            )

            async def book(number: int) -> None:
                booked = await client.execute_workflow(
                    Booking.run, number, id=f"booking-{number}", task_queue=_QUEUE, request_eager_start=True
                )
                assert booked

            async with worker:
                first = 0
                for clients in options.clients:
                    results[clients], first = await closed_loop(
                        book, clients=clients, seconds=options.seconds, first=first
                    )
            await steps.close()
    return results


if __name__ == "__main__":
    peer_main(__doc__, lambda options: asyncio.run(_measure(options)), [16, 64, 128])
