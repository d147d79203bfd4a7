"""A table that was divided by time, as docs/how-to/scaling.md says, works as before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from makegood_testkit.divided import begin_another, divide

from .examples import HOUR, START
from .harness import BookingHarness, Json

_WHERE = "SELECT tableoid::regclass::text FROM session_history WHERE session_id = $1"


async def places(harness: BookingHarness, session: Json) -> set[str]:
    async with harness.database.reading() as queries:
        return {row[0] for row in await queries.fetch(_WHERE, session["id"])}


async def history(harness: BookingHarness, session: Json) -> list[Json]:
    return list((await harness.member.get(f"/v1/sessions/{session['id']}/history")).json()["items"])


async def test_a_history_in_partitions_is_written_and_read_as_before(harness: BookingHarness) -> None:
    url = harness.database.direct_url
    before = await harness.confirmed()
    told = await history(harness, before)
    first = datetime.now(UTC) + timedelta(milliseconds=1)
    await divide(url, "booking", "session_history", first)
    assert await history(harness, before) == told

    after = await harness.confirmed(START + 48 * HOUR)
    following = datetime.now(UTC) + timedelta(milliseconds=1)
    await begin_another(url, "booking", "session_history", first, following)
    last = await harness.confirmed(START + 96 * HOUR)

    for session in (before, after, last):
        assert (await harness.provider.post(f"/v1/sessions/{session['id']}/cancel", json={})).is_success
        assert len(await history(harness, session)) == len(told) + 1
    assert [await places(harness, each) for each in (before, after, last)] == [
        {"session_history_before"}, {"session_history_2027"}, {"session_history_next"},
    ]  # fmt: skip
