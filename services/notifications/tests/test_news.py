"""NOTE-3: what waits for news waits for all that is read, and for nothing that never comes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from makegood_chassis.messaging.progress import ReadUntil
from makegood_chassis.pruning import prune
from makegood_chassis.real_time import utc_now
from makegood_notifications.store.news import RETENTION, News
from makegood_testkit.databases import as_owner

from .conftest import NotificationsHarness
from .test_contact_changes import change

NOW = utc_now()
EARLIER = NOW - timedelta(hours=2)
SESSIONS = "booking.sessions.v1"


async def read(harness: NotificationsHarness, *, topics: list[str] | None = None) -> datetime:
    """As a process sees it that has just started."""
    return await News(harness.database, topics).read_until()


@pytest.mark.rule("NOTE-3")
async def test_reading_that_always_lags_holds_nothing_up_for_good(harness: NotificationsHarness) -> None:
    news = News(harness.database)
    lag = timedelta(seconds=30)
    assert not news.suffices(utc_now() - lag, "m")
    assert not news.suffices(utc_now() - lag, "m")
    assert news.suffices(utc_now() + timedelta(milliseconds=1), "m"), "all that had happened when it was asked about"


@pytest.mark.rule("NOTE-3")
async def test_all_partitions_of_all_topics_count(harness: NotificationsHarness) -> None:
    news = News(harness.database)
    assert (await read(harness)).year == 9999, "nobody ever read anything"
    await news.note([ReadUntil("a", 0, 2, NOW)])
    assert (await read(harness)).year == 1, "the other partition is not known yet"
    await news.note([ReadUntil("a", 1, 2, NOW), ReadUntil("b", 0, 1, EARLIER)])
    assert await read(harness) == EARLIER


@pytest.mark.rule("NOTE-3")
async def test_a_topic_that_nobody_reads_any_more_holds_nothing_up(harness: NotificationsHarness) -> None:
    """An earlier version read it; its row stays."""
    news = News(harness.database)
    await news.note([ReadUntil("booking.sessions.v0", 0, 1, EARLIER), ReadUntil(SESSIONS, 0, 1, NOW)])
    assert await read(harness, topics=[SESSIONS]) == NOW
    assert await read(harness, topics=[SESSIONS, "booking.rooms.v1"]) == NOW, "nor one that does not exist"


@pytest.mark.rule("NOTE-3")
async def test_what_was_read_stays_read_whatever_a_process_says_that_lost_the_partition(
    harness: NotificationsHarness,
) -> None:
    """One that Kafka cannot reach goes on telling how far it had come, until it hears that another one took over."""
    owner, cut_off = News(harness.database), News(harness.database)
    await cut_off.note([ReadUntil(SESSIONS, 0, 1, EARLIER)])
    await owner.note([ReadUntil(SESSIONS, 0, 1, NOW)])
    await cut_off.note([ReadUntil(SESSIONS, 0, 1, EARLIER)])
    assert await read(harness) == NOW


@pytest.mark.rule("NOTE-3")
async def test_a_process_that_ended_counts_until_others_have_read_what_it_had(harness: NotificationsHarness) -> None:
    ended, other, pruner = News(harness.database), News(harness.database), harness.service.pruner
    await ended.note([ReadUntil("a", 0, 2, EARLIER), ReadUntil("a", 1, 2, EARLIER)])
    async with as_owner(harness.database.url) as owner:
        await owner.execute("UPDATE news_readers SET noted_at = noted_at - interval '2 hours'")
    await other.note([ReadUntil("a", 0, 2, NOW)])
    await pruner.open()
    assert await prune(pruner, *RETENTION) == 0
    assert await read(harness) == EARLIER
    await other.note([ReadUntil("a", 1, 2, NOW)])
    assert await prune(pruner, *RETENTION) == 1
    assert await read(harness) == NOW
    await pruner.close()


@pytest.mark.rule("NOTE-3")
async def test_nothing_of_the_future_counts_as_read(harness: NotificationsHarness) -> None:
    """A machine's clock was ahead when it told so, or that of a producer."""
    news = News(harness.database)
    for _ in range(2):
        await news.note([ReadUntil(SESSIONS, 0, 1, utc_now() + timedelta(days=1))])
        assert await read(harness) <= utc_now() + timedelta(seconds=1)


@pytest.mark.rule("NOTE-3")
async def test_where_more_wait_than_are_remembered_the_first_still_have_their_turn(
    harness: NotificationsHarness,
) -> None:
    news = News(harness.database, most_waiting=2, on_its_way=timedelta(days=-1))  # by their own moment alone
    assert [news.suffices(EARLIER, name) for name in "abcd"] == [False] * 4
    so_far = utc_now()
    assert [news.suffices(so_far, name) for name in ("a", "c", "b")] == [True, False, True]
    assert news.suffices(utc_now() + timedelta(milliseconds=1), "c")


@pytest.mark.rule("NOTE-3")
async def test_those_that_nobody_asks_about_any_more_make_room(harness: NotificationsHarness) -> None:
    """Another process saw to them."""
    those_who_ask_now = timedelta(hours=-1)
    news = News(harness.database, most_waiting=2, on_its_way=timedelta(days=-1), forgotten=those_who_ask_now)
    assert [news.suffices(EARLIER, name) for name in "ab"] == [False] * 2
    assert not news.suffices(utc_now() - timedelta(seconds=1), "c")
    assert news.suffices(utc_now() + timedelta(milliseconds=1), "c")


@pytest.mark.rule("NOTE-3", "SEC-1")
async def test_what_protects_the_account_waits_for_no_news(harness: NotificationsHarness) -> None:
    """Kafka is away, and the mail server was for a while."""
    await harness.everybody()
    await News(harness.database).note([ReadUntil(SESSIONS, 0, 1, EARLIER)])
    await change(harness, "new@example.org")
    async with as_owner(harness.database.url) as owner:
        await owner.execute("UPDATE deliveries SET occurred_at = occurred_at - interval '1 hour'")
    async with harness.sending():
        await harness.inbox.wait_for("new@example.org", 1)
        await harness.settled()
