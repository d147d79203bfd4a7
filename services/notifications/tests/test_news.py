"""NOTE-3: what waits for news waits for all that is read, and for nothing that never comes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from makegood_chassis.messaging.progress import ReadUntil
from makegood_notifications.store import news as module
from makegood_notifications.store.news import News
from makegood_testkit.databases import as_owner

from .conftest import World
from .test_contact_changes import change

NOW = datetime.now(UTC)
EARLIER = NOW - timedelta(hours=2)
SESSIONS = "booking.sessions.v1"


async def read(world: World, *, topics: list[str] | None = None) -> datetime:
    """As a process sees it that has just started."""
    return await News(world.service.database, topics).read_until()


@pytest.mark.rule("NOTE-3")
async def test_reading_that_always_lags_holds_nothing_up_for_good(world: World) -> None:
    news = News(world.service.database)
    lag = timedelta(seconds=30)
    assert not news.suffices(datetime.now(UTC) - lag, "m")
    assert not news.suffices(datetime.now(UTC) - lag, "m")
    assert news.suffices(datetime.now(UTC) + timedelta(milliseconds=1), "m"), (
        "all that had happened when it was asked about"
    )


@pytest.mark.rule("NOTE-3")
async def test_all_partitions_of_all_topics_count(world: World) -> None:
    news = News(world.service.database)
    assert (await read(world)).year == 9999, "nobody ever read anything"
    await news.note([ReadUntil("a", 0, 2, NOW)])
    assert (await read(world)).year == 1, "the other partition is not known yet"
    await news.note([ReadUntil("a", 1, 2, NOW), ReadUntil("b", 0, 1, EARLIER)])
    assert await read(world) == EARLIER


@pytest.mark.rule("NOTE-3")
async def test_a_topic_that_nobody_reads_any_more_holds_nothing_up(world: World) -> None:
    """An earlier version read it; its row stays."""
    news = News(world.service.database)
    await news.note([ReadUntil("booking.sessions.v0", 0, 1, EARLIER), ReadUntil(SESSIONS, 0, 1, NOW)])
    assert await read(world, topics=[SESSIONS]) == NOW
    assert await read(world, topics=[SESSIONS, "booking.rooms.v1"]) == NOW, "nor one that does not exist"


@pytest.mark.rule("NOTE-3")
async def test_what_was_read_stays_read_whatever_a_process_says_that_lost_the_partition(world: World) -> None:
    """One that Kafka cannot reach goes on telling how far it had come, until it hears that another one took over."""
    owner, cut_off = News(world.service.database), News(world.service.database)
    await cut_off.note([ReadUntil(SESSIONS, 0, 1, EARLIER)])
    await owner.note([ReadUntil(SESSIONS, 0, 1, NOW)])
    await cut_off.note([ReadUntil(SESSIONS, 0, 1, EARLIER)])
    assert await read(world) == NOW


@pytest.mark.rule("NOTE-3")
async def test_nothing_of_the_future_counts_as_read(world: World) -> None:
    """A machine's clock was ahead when it told so, or that of a producer."""
    news = News(world.service.database)
    for _ in range(2):
        await news.note([ReadUntil(SESSIONS, 0, 1, datetime.now(UTC) + timedelta(days=1))])
        assert await read(world) <= datetime.now(UTC) + timedelta(seconds=1)


@pytest.mark.rule("NOTE-3")
async def test_where_more_wait_than_are_remembered_the_first_still_have_their_turn(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    monkeypatch.setattr(module, "ON_ITS_WAY", timedelta(days=-1))  # by their own moment alone
    news = News(world.service.database)
    assert [news.suffices(EARLIER, name) for name in "abcd"] == [False] * 4
    so_far = datetime.now(UTC)
    assert [news.suffices(so_far, name) for name in ("a", "c", "b")] == [True, False, True]
    assert news.suffices(datetime.now(UTC) + timedelta(milliseconds=1), "c")


@pytest.mark.rule("NOTE-3")
async def test_those_that_nobody_asks_about_any_more_make_room(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process saw to them."""
    monkeypatch.setattr(module, "MOST_WAITING", 2)
    monkeypatch.setattr(module, "ON_ITS_WAY", timedelta(days=-1))
    monkeypatch.setattr(module, "FORGOTTEN", timedelta(hours=-1))  # those who ask now
    news = News(world.service.database)
    assert [news.suffices(EARLIER, name) for name in "ab"] == [False] * 2
    assert not news.suffices(datetime.now(UTC) - timedelta(seconds=1), "c")
    assert news.suffices(datetime.now(UTC) + timedelta(milliseconds=1), "c")


@pytest.mark.rule("NOTE-3", "SEC-1")
async def test_what_protects_the_account_waits_for_no_news(world: World) -> None:
    """Kafka is away, and the mail server was for a while."""
    await world.everybody()
    await News(world.service.database).note([ReadUntil(SESSIONS, 0, 1, EARLIER)])
    await change(world, "new@example.org")
    async with as_owner(world.service.database.url) as owner:
        await owner.execute("UPDATE deliveries SET occurred_at = occurred_at - interval '1 hour'")
    async with world.sending():
        await world.inbox.wait_for("new@example.org", 1)
        await world.settled()
