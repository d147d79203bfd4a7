"""Three services that book a session, written as tutorials for FastAPI, SQLAlchemy and aiokafka write them.

`booking` saves the session and sends an event, `availability` holds the slot and sends one, `credits` holds the credit and
sends one, and `booking` reserves the session. Each is an application with a consumer in its lifespan, one message at a time.

What they do not do: no outbox and no inbox (an event is lost if a process dies between commit and send, and a repeated one
books twice), no sign-in, no idempotency keys, no refusals, no expiry of holds, no retries, no dead letters, no metrics.

Run by `plain_booking.py`.
"""

from __future__ import annotations

import asyncio
import json
import os
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from typing import Any, ClassVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from fastapi import Depends, FastAPI
from pydantic import BaseModel
from sqlalchemy import BigInteger, DateTime, Identity
from sqlalchemy.dialects.postgresql import TSTZRANGE, Range
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DATABASE, KAFKA = os.environ["MAKEGOOD_BENCH_PLAIN_DATABASE"], os.environ["MAKEGOOD_BENCH_PLAIN_KAFKA"]
REQUESTED, SLOT_HELD, CREDIT_HELD = "plain-session-requested", "plain-slot-held", "plain-credit-held"
_PATIENCE = 20

engine = create_async_engine(DATABASE, pool_size=20)
new_session = async_sessionmaker(engine, expire_on_commit=False)
producer: AIOKafkaProducer | None = None


class Base(DeclarativeBase):
    type_annotation_map: ClassVar = {datetime: DateTime(timezone=True)}


class Session(Base):
    __tablename__ = "sessions"
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    room_id: Mapped[uuid.UUID]
    member_id: Mapped[str]
    provider_id: Mapped[str]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    status: Mapped[str]
    version: Mapped[int] = mapped_column(default=1)


class SlotHold(Base):
    __tablename__ = "slot_holds"
    session_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    provider_id: Mapped[str]
    member_id: Mapped[str]
    during: Mapped[Range[datetime]] = mapped_column(TSTZRANGE)


class Account(Base):
    __tablename__ = "accounts"
    member_id: Mapped[str] = mapped_column(primary_key=True)
    available: Mapped[int]
    held: Mapped[int]


class CreditHold(Base):
    __tablename__ = "credit_holds"
    session_id: Mapped[uuid.UUID] = mapped_column(primary_key=True)
    member_id: Mapped[str]
    state: Mapped[str]


class LedgerEntry(Base):
    __tablename__ = "ledger"
    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    member_id: Mapped[str]
    session_id: Mapped[uuid.UUID]
    kind: Mapped[str]
    amount: Mapped[int]


class SessionIn(BaseModel):
    room_id: uuid.UUID
    member_id: str
    provider_id: str
    starts_at: datetime
    ends_at: datetime


class SessionOut(SessionIn):
    id: uuid.UUID
    status: str


Handler = Callable[[dict[str, Any]], Awaitable[None]]


async def database() -> AsyncIterator[AsyncSession]:
    async with new_session() as session:
        yield session


async def send(topic: str, session: Session) -> None:
    event = {
        "session_id": str(session.id),
        "member_id": session.member_id,
        "provider_id": session.provider_id,
        "starts_at": session.starts_at.isoformat(),
        "ends_at": session.ends_at.isoformat(),
    }
    await send_event(topic, event)


async def send_event(topic: str, event: dict[str, Any]) -> None:
    assert producer is not None
    await producer.send_and_wait(topic, json.dumps(event).encode(), key=event["session_id"].encode())


async def consume(topic: str, group: str, handler: Handler) -> None:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=KAFKA, group_id=group, auto_offset_reset="earliest")
    await consumer.start()
    try:
        async for message in consumer:
            await handler(json.loads(message.value))
    finally:
        await consumer.stop()


def application(topic: str, group: str, handler: Handler) -> FastAPI:
    """An application that consumes a topic as long as it runs."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        global producer
        producer = AIOKafkaProducer(bootstrap_servers=KAFKA, acks="all")
        await producer.start()
        task = asyncio.create_task(consume(topic, group, handler))
        yield
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await producer.stop()
        await engine.dispose()

    return FastAPI(lifespan=lifespan)


# -- booking

decided: dict[uuid.UUID, asyncio.Event] = {}


async def reserve(event: dict[str, Any]) -> None:
    session_id = uuid.UUID(event["session_id"])
    async with new_session() as db:
        session = await db.get_one(Session, session_id)
        session.status = "reserved"
        session.version += 1
        await db.commit()
    if session_id in decided:
        decided[session_id].set()


booking = application(CREDIT_HELD, "plain-booking", reserve)


@booking.post("/sessions", status_code=201)
async def book(body: SessionIn, db: AsyncSession = Depends(database)) -> SessionOut:
    session = Session(id=uuid.uuid4(), status="requested", **body.model_dump())
    decided[session.id] = asyncio.Event()
    try:
        db.add(session)
        await db.commit()
        await send(REQUESTED, session)
        await asyncio.wait_for(decided[session.id].wait(), _PATIENCE)
    finally:
        del decided[session.id]
    return SessionOut(id=session.id, status="reserved", **body.model_dump())


# -- availability


async def hold_slot(event: dict[str, Any]) -> None:
    during = Range(datetime.fromisoformat(event["starts_at"]), datetime.fromisoformat(event["ends_at"]))
    async with new_session() as db:
        db.add(
            SlotHold(
                session_id=uuid.UUID(event["session_id"]),
                provider_id=event["provider_id"],
                member_id=event["member_id"],
                during=during,
            )
        )
        await db.commit()
    await send_event(SLOT_HELD, event)


availability = application(REQUESTED, "plain-availability", hold_slot)


# -- credits


async def hold_credit(event: dict[str, Any]) -> None:
    session_id, member_id = uuid.UUID(event["session_id"]), event["member_id"]
    async with new_session() as db:
        account = await db.get_one(Account, member_id, with_for_update=True)
        account.available -= 1
        account.held += 1
        db.add(CreditHold(session_id=session_id, member_id=member_id, state="held"))
        db.add(LedgerEntry(member_id=member_id, session_id=session_id, kind="hold", amount=1))
        await db.commit()
    await send_event(CREDIT_HELD, event)


credits = application(SLOT_HELD, "plain-credits", hold_credit)
