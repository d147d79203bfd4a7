"""The cut: one moment in which no service commits anything, so that databases and topics fit together.

An event that another service has handled was committed by its own service before. For a moment, the tables `inbox` and
`outbox` of all four databases are locked against writing. Every commit that publishes or handles something waits. In
that moment each database exports its snapshot, and the ends of the topics are read. So no snapshot has a consequence without its
cause, and what stands on the topics before the noted ends is exactly what was committed, except what is still in an outbox.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from aiokafka.structs import TopicPartition
from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_contracts.topics import EVENT_TOPICS
from makegood_devtools.errors import UserError

from makegood_stack.backup.manifest import DatabaseNote, Offsets
from makegood_stack.ports import SERVICES
from makegood_stack.topic_state import existing_topics, group_offsets

_LOCK: Final = "LOCK TABLE inbox, outbox IN SHARE MODE"
_LOCK_TIMEOUT: Final = "1s"
_TRIES: Final = 20
_MOMENT: Final = 3.0
"""Seconds that reading snapshots and offsets may take, because nothing commits meanwhile."""
_NOTE: Final = """
SELECT (SELECT version_num FROM alembic_version) AS revision, current_setting('server_version') AS server,
       clock_timestamp() AS noted_at, pg_current_wal_insert_lsn()::text AS lsn, (SELECT count(*) FROM outbox) AS outbox
"""
_SYSTEM: Final = "SELECT system_identifier::text FROM pg_control_system()"
Connection = Any
"""asyncpg.Connection, whose type parameter exists only in stubs."""


@dataclass(frozen=True)
class Cut:
    """`snapshots`: by service, as long as the block of `take` lasts."""

    databases: dict[str, DatabaseNote]
    snapshots: dict[str, str]
    ends: Offsets
    groups: dict[str, Offsets]
    paused_ms: int


class Positions:
    """Reads offsets. Connected before the moment in which everything waits for it."""

    def __init__(self, brokers: Brokers, prefix: str) -> None:
        self.prefix = prefix
        self._brokers = brokers
        self._consumer: Any = None
        self._admin = AIOKafkaAdminClient(**kafka_arguments(brokers))

    async def __aenter__(self) -> Positions:
        try:
            with _kafka_answers():
                names = await existing_topics(self._brokers, [self.prefix + topic.name for topic in EVENT_TOPICS])
                # A consumer without a group is assigned all partitions of its topics.
                self._consumer = AIOKafkaConsumer(*names, **kafka_arguments(self._brokers))
                await self._consumer.start()
                await self._admin.start()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await self._consumer.stop()
        await self._admin.close()

    async def ends(self) -> Offsets:
        """Where each partition ends. Raises UserError if Kafka does not answer."""
        with _kafka_answers():
            return self._by_topic(await self._consumer.end_offsets(list(self._consumer.assignment())))

    async def groups(self) -> dict[str, Offsets]:
        """Where each service's group stands. Raises UserError if Kafka does not answer."""
        names = [self.prefix + service for service in SERVICES]
        with _kafka_answers():
            answers = await asyncio.gather(*(group_offsets(self._admin, name) for name in names))
        return {service: self._by_topic(found) for service, found in zip(SERVICES, answers, strict=True)}

    def _by_topic(self, offsets: Mapping[TopicPartition, int]) -> Offsets:
        found: Offsets = {}
        for part, offset in sorted(offsets.items()):
            found.setdefault(part.topic.removeprefix(self.prefix), {})[part.partition] = offset
        return found


@contextmanager
def _kafka_answers() -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError) as error:
        raise UserError(f"Kafka does not answer ({type(error).__name__}). Start it with: makegood up") from error


@asynccontextmanager
async def take(urls: Mapping[str, str], brokers: Brokers, prefix: str) -> AsyncIterator[Cut]:
    """Takes the cut. The snapshots last as long as the block. `urls`: each database with its owner's login.

    Raises UserError if a server does not answer, or if the tables stay busy.
    """
    async with AsyncExitStack() as stack:
        positions = await stack.enter_async_context(Positions(brokers, prefix))
        lockers = {service: await _connected(stack, service, urls[service]) for service in SERVICES}
        holders = {service: await _connected(stack, service, urls[service]) for service in SERVICES}
        for left in reversed(range(_TRIES)):
            # Offsets follow the databases, so they may be read a moment before.
            groups = await positions.groups()
            started = time.monotonic()
            try:
                await _each(lockers, f"BEGIN; SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'; {_LOCK}")
                await _each(holders, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                async with asyncio.timeout(_MOMENT):
                    ends, noted = await asyncio.gather(
                        positions.ends(), asyncio.gather(*(_note(holders[service]) for service in SERVICES))
                    )
                break
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError):
                await _each(holders, "ROLLBACK")
                if not left:
                    raise UserError("the databases stay too busy for a backup. Run it again later") from None
            except TimeoutError as error:
                raise UserError(
                    f"a server took longer than {_MOMENT:g} s, and all services wait for a backup in that time. "
                    "See what is running with: makegood status"
                ) from error
            except asyncpg.UndefinedTableError as error:
                raise UserError("a database is not migrated. Start the platform with: makegood up") from error
            finally:
                await _each(lockers, "ROLLBACK")
                paused = time.monotonic() - started
            await _let_others_go_on()
        databases = {service: note for service, (_, note) in zip(SERVICES, noted, strict=True)}
        snapshots = {service: snapshot for service, (snapshot, _) in zip(SERVICES, noted, strict=True)}
        yield Cut(databases, snapshots, ends, groups, round(paused * 1000))


async def _let_others_go_on() -> None:
    await asyncio.sleep(random.uniform(0.1, 0.5))


async def _connected(stack: AsyncExitStack, service: str, url: str) -> Connection:
    try:
        connection = await asyncpg.connect(
            url,
            timeout=10,
            server_settings={"application_name": "makegood-backup", "idle_in_transaction_session_timeout": "0"},
        )
    except (OSError, asyncpg.PostgresError, TimeoutError) as error:
        raise UserError(
            f"the database of {service} does not answer ({type(error).__name__}). Start it with: makegood up"
        ) from error
    stack.push_async_callback(connection.close, timeout=5)
    return connection


async def _each(connections: Mapping[str, Connection], statement: str) -> None:
    """Runs the statement everywhere. All have ended when it raises."""
    done = await asyncio.gather(*(one.execute(statement) for one in connections.values()), return_exceptions=True)
    for outcome in done:
        if isinstance(outcome, BaseException):
            raise outcome


async def _note(connection: Connection) -> tuple[str, DatabaseNote]:
    snapshot = str(await connection.fetchval("SELECT pg_export_snapshot()"))
    row = await connection.fetchrow(_NOTE)
    system = ""
    if await connection.fetchval("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')"):
        system = str(await connection.fetchval(_SYSTEM))
    return snapshot, DatabaseNote(
        revision=row["revision"],
        server=row["server"],
        system=system,
        noted_at=row["noted_at"],
        lsn=row["lsn"],
        outbox=row["outbox"],
    )
