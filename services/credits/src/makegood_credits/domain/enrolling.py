"""Enrolling a member, and the credits that are granted and lapse over time (PLAN-1)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, NamedTuple

from makegood_contracts.ids import new_id
from makegood_plans.coverage import end_of, local_day, start_of_day

from makegood_credits.domain.book import EXPIRED, GRANTED, Account, Book, Lot, Note
from makegood_credits.domain.coverage import Enrolment
from makegood_credits.domain.guarantees import SYSTEM, keep_good
from makegood_credits.domain.plans import PLANS

DEFAULT_ZONE: Final = "UTC"


@dataclass(frozen=True, slots=True)
class EnrolmentRequest:
    """The requested enrolment. Days are inclusive, in `time_zone`. Without it, in the zone of the resumed enrolment, or
    UTC.
    """

    plan_id: str
    starts_on: date
    ends_on: date | None
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class EnrolmentResult:
    """The enrolment that counts now. `changed` is false if it counted before. `ended`: the enrolments that it replaces."""

    enrolment: Enrolment
    changed: bool
    ended: tuple[Enrolment, ...] = ()


class Lapse(NamedTuple):
    """Credits of a lot that lapsed. A negative `amount` was restored."""

    lot_id: str
    amount: int
    made_at: datetime


def enrol(book: Book, coverage: EnrolmentRequest, now: datetime, lapses: Iterable[Lapse] = ()) -> EnrolmentResult:
    """Covers the member as requested, in place of any earlier enrolment (PLAN-1).

    The credits of the current period are granted at once. Past periods get none. The earlier enrolment's coverage and
    unspent credits end when the new one begins. Held credits stay held, and credits that were returned within the last
    thirty days stay valid as long as promised (MISS-4). The same plan from the same day is the same enrolment, even if
    another one replaced it in between. So is the same plan from the day on which it was replaced. It continues with its
    agreed end, and no period is granted twice. If it was replaced today, the credits that lapsed then are restored
    (`lapses`: what lapsed in the last days). What lapsed earlier stays lapsed.
    """
    same = _same(book, coverage, now)
    if same is not None:
        if coverage.starts_on != same.starts_on:
            same = replace(same, resumed_on=coverage.starts_on)
        ended = _make_way(book, same, now)
        if not ended and (same.ends_on, same.covers_until) == (
            coverage.ends_on,
            end_of(coverage.ends_on, same.time_zone),
        ):
            return EnrolmentResult(same, changed=False)
        return EnrolmentResult(_extend(book, same, coverage.ends_on, now, lapses), changed=True, ended=ended)
    time_zone = coverage.time_zone or DEFAULT_ZONE
    enrolment = Enrolment(
        PLANS[coverage.plan_id],
        coverage.starts_on,
        coverage.ends_on,
        time_zone,
        start_of_day(coverage.starts_on, time_zone),
        end_of(coverage.ends_on, time_zone),
        new_id(),
        book.member_id,
    )
    enrolment = enrolment.awaiting(enrolment.number_at(now))
    ended = _make_way(book, enrolment, now)
    book.put(enrolment)
    keep_good(book, now)
    catch_up(book, now)
    return EnrolmentResult(next(each for each in book.enrolments if each.id == enrolment.id), changed=True, ended=ended)


def end_coverage(book: Book, now: datetime) -> tuple[Enrolment, ...]:
    """Ends an erased person's coverage with the day and grants no more credits (NOTE-5). Returns the enrolments that
    ended.
    """
    ended = tuple(
        _end(book, each, max(each.covers_from, end), now)
        for each in list(book.enrolments)
        if (end := start_of_day(local_day(now, each.time_zone) + timedelta(days=1), each.time_zone))
        and (each.covers_until is None or each.covers_until > max(each.covers_from, end))
    )
    keep_good(book, now)
    catch_up(book, now)
    return ended


def catch_up(book: Book, now: datetime) -> None:
    """Enters what has happened up to `now`, in order: credits lapse, and each period's credits arrive (CRED-1, PLAN-1).

    If several periods have passed, each is granted and lapses, so that the ledger is complete. Needs every lot with
    available credits and every enrolment with a future grant.
    """
    while True:
        lapsing = min(
            (
                lot
                for lot in book.lots.values()
                if lot.available and lot.expires_at is not None and lot.expires_at <= now
            ),
            key=lambda lot: (lot.expires_at, lot.id),
            default=None,
        )
        granting = min(
            (each for each in book.enrolments if each.next_grant is not None and each.next_grant <= now),
            key=lambda each: (each.next_grant, each.id),
            default=None,
        )
        if lapsing is not None and (granting is None or lapsing.expires_at <= granting.next_grant):  # type: ignore[operator]
            expire(book, lapsing, now)
        elif granting is not None:
            _grant(book, granting, now)
        else:
            break
    book.next_due = min(
        (
            *(lot.expires_at for lot in book.lots.values() if lot.available and lot.expires_at is not None),
            *(each.next_grant for each in book.enrolments if each.next_grant is not None),
        ),
        default=None,
    )


def expire(book: Book, lot: Lot, now: datetime) -> None:
    """Lets a lot's available credits lapse. Held credits stay held (CRED-2)."""
    reason = "Lapsed unused." if lot.source != "plan" else "Lapsed unused with its period."
    book.transfer("expire", Account.available(lot), EXPIRED, Note(now, SYSTEM, reason), lot.available)


def _revive(book: Book, lot: Lot, amount: int, now: datetime) -> None:
    """Restores credits that lapsed (PLAN-1)."""
    reason = "The plan continues: what lapsed when it ended is restored."
    book.transfer("adjust", EXPIRED, Account.available(lot), Note(now, SYSTEM, reason), amount)


def _grant(book: Book, enrolment: Enrolment, now: datetime) -> None:
    plan, period = enrolment.plan, enrolment.billing_period(enrolment.next_period)
    if period is not None and plan.live_credits:
        lot = book.open_lot("plan", plan.lot_length, period.ends_at, enrolment_id=enrolment.id, period=period.number)
        reason = f"Plan {plan.id}, period from {period.first_day}." if plan.months else f"Plan {plan.id}."
        book.transfer("grant", GRANTED, Account.available(lot), Note(now, SYSTEM, reason), plan.live_credits)
    book.put(enrolment.awaiting(enrolment.next_period + 1))


def _same(book: Book, coverage: EnrolmentRequest, now: datetime) -> Enrolment | None:
    """The existing enrolment that the request names or resumes, the latest if there are several. None: it needs a new
    one.
    """
    day = coverage.starts_on
    found = [
        each
        for each in book.enrolments
        if each.plan_id == coverage.plan_id
        and coverage.time_zone in (None, each.time_zone)
        and (day in (each.starts_on, each.resumed_on) or each.starts_on < day in _replaced_on(book, each, now))
    ]
    return max(
        found,
        key=lambda each: (each.covers_until is None, each.covers_until, each.starts_on == day, each.id),
        default=None,
    )


def _replaced_on(book: Book, enrolment: Enrolment, now: datetime) -> set[date]:
    """The start days that would resume the enrolment (PLAN-1): the day on which another plan replaced it, and today if
    that plan was agreed today.
    """
    if enrolment.covers_until == end_of(enrolment.ends_on, enrolment.time_zone):
        return set()
    days = {each.starts_on for each in book.enrolments if each.covers_from == enrolment.covers_until}
    today = local_day(now, enrolment.time_zone)
    if enrolment.replaced_at is not None and local_day(enrolment.replaced_at, enrolment.time_zone) == today:
        days.add(today)
    return days


def _make_way(book: Book, enrolment: Enrolment, now: datetime) -> tuple[Enrolment, ...]:
    """Ends every other coverage when this one begins. Returns those that would have lasted longer."""
    return tuple(
        _end(book, each, enrolment.covers_from, now)
        for each in list(book.enrolments)
        if each.id != enrolment.id and (each.covers_until is None or each.covers_until > enrolment.covers_from)
    )


def _end(book: Book, enrolment: Enrolment, at: datetime, now: datetime) -> Enrolment:
    """Ends coverage at an instant. Its unspent credits lapse then."""
    ended = replace(enrolment, covers_until=at, replaced_at=now)
    ended = ended.awaiting(ended.next_period)
    book.put(ended)
    for lot in book.lots.values():
        if lot.enrolment_id == enrolment.id and (lot.expires_at is None or lot.expires_at > at):
            book.expire_at(lot, at)
    return ended


def _extend(
    book: Book, enrolment: Enrolment, ends_on: date | None, now: datetime, lapses: Iterable[Lapse]
) -> Enrolment:
    """Changes the agreed end of an enrolment and of its lots. If a lot is valid again, what lapsed of it today is
    restored.
    """
    today = local_day(now, enrolment.time_zone)
    lapsed_today: Counter[str] = Counter()
    for lapse in lapses:
        if local_day(lapse.made_at, enrolment.time_zone) == today:
            lapsed_today[lapse.lot_id] += lapse.amount
    moved = replace(enrolment, ends_on=ends_on, covers_until=end_of(ends_on, enrolment.time_zone), replaced_at=None)
    moved = moved.awaiting(max(moved.next_period, moved.number_at(now)))
    book.put(moved)
    for lot in book.lots.values():
        if lot.enrolment_id == enrolment.id and lot.period is not None:
            period = moved.billing_period(lot.period)
            book.expire_at(lot, period.ends_at if period else moved.covers_until)
            if lapsed_today[lot.id] > 0 and (lot.expires_at is None or lot.expires_at > now):
                _revive(book, lot, lapsed_today[lot.id], now)
    keep_good(book, now)
    catch_up(book, now)
    return next(each for each in book.enrolments if each.id == enrolment.id)
