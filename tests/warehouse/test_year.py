"""From a generated year to a warehouse with plots, and what the warehouse still has of somebody who was erased."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pytest
from aiokafka import AIOKafkaProducer
from makegood_contracts.envelope import Cause, encode
from makegood_contracts.events import (
    Event,
    PersonErased,
    RemarkKeyPublished,
    SessionCancelled,
    SessionRequested,
    TokensRevoked,
    WaitlistCandidateJudged,
)
from makegood_contracts.publishing.examples import example_of
from makegood_contracts.reasons import Obstacle

ROOT = Path(__file__).parents[2]
WORDS = ("Y2FuYXJ5LXJlbWFyaw==", "Y2FuYXJ5LWtleQ==", "canary-token")
"""What was written by somebody, their key, and the id of their token."""

YEAR = ("--members", "60", "--start", "2025-01-01")
AFTERWARDS = datetime(2026, 1, 2, tzinfo=UTC)

pytestmark = [pytest.mark.extended, pytest.mark.slow]


@dataclass
class Pipeline:
    """The commands that a data team runs, on topics of this test."""

    servers: str
    prefix: str
    folder: Path
    sequences: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def makegood(self, *words: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | {
            "KAFKA_BOOTSTRAP_SERVERS": self.servers,
            "KAFKA_TOPIC_PREFIX": self.prefix,
            "MAKEGOOD_HOME": str(self.folder / "home"),
        }
        command = [sys.executable, "-m", "makegood_cli.main", *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=300)

    def export(self) -> None:
        exported = self.makegood("topics", "export", str(self.lake), "--format", "duckdb")
        assert exported.returncode == 0, exported.stdout + exported.stderr

    def export_and_build(self) -> None:
        self.export()
        made = subprocess.run(
            ["make", "warehouse", f"EXPORT={self.lake}", "ARGS="],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout + made.stderr

    async def publish(self, *events: Event) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.servers)
        await producer.start()
        try:
            for event in events:
                entity = (event.topic.name, event.key)
                self.sequences[entity] += 1
                record = encode(event, sequence=self.sequences[entity], cause=Cause.begin(), time=AFTERWARDS)
                headers = [(name, value.encode()) for name, value in record.headers]
                topic = self.prefix + record.topic
                await producer.send_and_wait(topic, record.value, record.key.encode(), headers=headers)
        finally:
            await producer.stop()

    def a_busy_pair(self) -> tuple[str, str, str]:
        """The member with most sessions who is not erased, their provider, and their room."""
        with duckdb.connect(self.lake / "makegood.duckdb", read_only=True) as export:
            [found] = export.execute(
                "SELECT member_id, provider_id, room_id FROM booking_sessions_v1 WHERE fact = 'SessionCompleted' "
                "AND member_id NOT LIKE 'erased-%' GROUP BY ALL ORDER BY count(*) DESC, 1 LIMIT 1"
            ).fetchall()
        return found

    def ask(self, question: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.lake / "warehouse" / "warehouse.duckdb", read_only=True) as warehouse:
            return warehouse.execute(question).fetchall()


async def test_a_year_becomes_a_warehouse_with_plots_and_nothing_is_left_there_of_who_is_erased(
    kafka_servers: str, topic_prefix: str, tmp_path: Path
) -> None:
    pipeline = Pipeline(kafka_servers, topic_prefix, tmp_path)
    made = await asyncio.to_thread(pipeline.makegood, "generate-year", *YEAR, "--prefix", topic_prefix)
    assert made.returncode == 0, made.stdout + made.stderr
    again = await asyncio.to_thread(pipeline.makegood, "generate-year", "--members", "1", "--prefix", topic_prefix)
    assert again.returncode == 2
    assert "Choose another --prefix" in again.stderr

    # A member with many sessions and one of their providers, and every kind of field that could name or quote them.
    await asyncio.to_thread(pipeline.export)
    member, provider, room = pipeline.a_busy_pair()
    await pipeline.publish(*_more_about(member, provider, room))
    await asyncio.to_thread(pipeline.export_and_build)
    assert (pipeline.lake / "warehouse" / "report.html").read_text().count('src="data:image/png;base64') == 6
    for answer in (
        "missed_sessions_by_provider_and_hour", "time_to_make_good", "utilisation_by_week", "credits_about_to_lapse",
        "waitlist_demand", "no_show_risk",
    ):  # fmt: skip
        assert pipeline.ask(f"SELECT count(*) FROM answers.{answer}") > [(0,)], answer
    for trace in (member, provider, *WORDS):
        assert list(_places(pipeline.lake, trace)), trace
    before = _sums(pipeline)

    await pipeline.publish(*(PersonErased(person_id=person, erased_at=AFTERWARDS) for person in (member, provider)))
    await asyncio.to_thread(pipeline.export_and_build)
    for trace in (member, provider, *WORDS):
        assert list(_places(pipeline.lake, trace)) == [], trace
        assert list(_files_with(pipeline.lake, trace)) == [], trace
    assert _sums(pipeline) == before
    assert pipeline.ask("SELECT count(*) FROM marts.dim_members WHERE is_erased AND member_id LIKE 'erased-%'") == [
        (2,)
    ]


def _more_about(member: str, provider: str, room: str) -> Sequence[Event]:
    """Events with what no other event has of these people: sealed words, keys, and ids inside of other values."""
    pair = {"member_id": member, "provider_id": provider, "room_id": room}
    day = timedelta(days=1)
    session = {
        **pair,
        "session_id": "canary-session",
        "starts_at": AFTERWARDS + day,
        "ends_at": AFTERWARDS + day + timedelta(minutes=45),
    }
    obstacle = Obstacle(
        code="no-session-credits", detail="No credit.", action="buy_credit", href=f"/v1/members/{member}/credits"
    )
    return (
        _example(SessionRequested, **session, session_version=1, hold_until=AFTERWARDS),
        _example(SessionCancelled, **session, session_version=2, cancelled_at=AFTERWARDS, sealed_remark=WORDS[0]),
        _example(WaitlistCandidateJudged, **pair, reasons=(obstacle,)),
        RemarkKeyPublished(person_id=member, public_key=WORDS[1]),
        TokensRevoked(person_id=provider, jti=WORDS[2], revoked_at=AFTERWARDS),
    )


def _example(kind: type[Event], **fields: Any) -> Event:
    return msgspec.structs.replace(example_of(kind), **fields)


def _sums(pipeline: Pipeline) -> list[tuple[Any, ...]]:
    """Figures that must not change, whoever is erased."""
    return pipeline.ask(
        "SELECT (SELECT count(*) FROM marts.fct_sessions), (SELECT sum(available) FROM marts.fct_balances), "
        "(SELECT sum(held) FROM marts.fct_balances), (SELECT count(*) FROM marts.fct_deliveries), "
        "(SELECT count(*) FROM marts.dim_members), (SELECT count(*) FROM marts.dim_providers)"
    )


def _places(lake: Path, trace: str) -> Iterator[str]:
    """Every column of the export and the warehouse in which a value contains the trace, also inside of structs and lists."""
    for file in (lake / "makegood.duckdb", lake / "warehouse" / "warehouse.duckdb"):
        with duckdb.connect(file, read_only=True) as database:
            columns = database.execute(
                "SELECT schema_name, table_name, column_name FROM duckdb_columns() WHERE NOT internal"
            ).fetchall()
            for schema, table, column in columns:
                question = f'SELECT count(*) FROM "{schema}"."{table}" WHERE contains("{column}"::VARCHAR, $trace)'
                [(count,)] = database.execute(question, {"trace": trace}).fetchall()
                if count:
                    yield f"{file.name} {schema}.{table}.{column}: {count} rows"


def _files_with(lake: Path, trace: str) -> Iterator[str]:
    """Files of the export and the warehouse whose bytes contain the trace: free pages, logs, documentation, report."""
    for path in lake.rglob("*"):
        if path.is_file() and trace.encode() in path.read_bytes():
            yield str(path.relative_to(lake))
