"""Enrolling a member, and the credits that come and lapse by themselves (PLAN-1)."""

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
    """What an enrolment asks for. Days are those of `time_zone`, inclusive; None: of the enrolment that goes on, or of UTC."""

    plan_id: str
    starts_on: date
    ends_on: date | None
    time_zone: str | None


@dataclass(frozen=True, slots=True)
class EnrolmentResult:
    """The enrolment that holds now; `changed` is false where it did already. `ended`: those it took the place of."""

    enrolment: Enrolment
    changed: bool
    ended: tuple[Enrolment, ...] = ()


class Lapse(NamedTuple):
    """Credits that lapsed out of a lot; a negative `amount` came back into it."""

    lot_id: str
    amount: int
    made_at: datetime


def enrol(book: Book, coverage: EnrolmentRequest, now: datetime, lapses: Iterable[Lapse] = ()) -> EnrolmentResult:
    """The member is covered as asked, and no longer by any earlier enrolment (PLAN-1).

    Credits of the present period are granted at once; a start in the past brings none for the periods before. The earlier
    enrolment's coverage and unspent credits end where the new one begins; credits that are held stay held, and those that
    came back within the last thirty days keep their days (MISS-4). The same plan from the same day is the same enrolment,
    also after another one took its place, and so is the same plan from the day on which that happened: it goes on with its
    agreed end, and no period is granted twice. What lapsed when it was replaced is back if that was today (`lapses`: what is
    known of the last days); what lapsed before stays lapsed.
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
    """Whoever is erased is covered until the end of the day, and gets no more credits; answers what ended by it (NOTE-5)."""
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
    """Enters what time has done up to `now`, in its order: credits lapse, and each period's grant arrives (CRED-1, PLAN-1).

    After a leap over several periods each of them is granted and lapses, so that the ledger tells the whole story. Needs
    every lot with credits available and every enrolment with a grant to come.
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
    """What is available of a lot lapses; what is held of it stays held (CRED-2)."""
    reason = "Lapsed unused." if lot.source != "plan" else "Lapsed unused with its period."
    book.transfer("expire", Account.available(lot), EXPIRED, Note(now, SYSTEM, reason), lot.available)


def _revive(book: Book, lot: Lot, amount: int, now: datetime) -> None:
    """Undoes that credits lapsed (PLAN-1): they come back out of where they went."""
    reason = "The plan goes on: what lapsed when it ended is back."
    book.transfer("adjust", EXPIRED, Account.available(lot), Note(now, SYSTEM, reason), amount)


def _grant(book: Book, enrolment: Enrolment, now: datetime) -> None:
    plan, period = enrolment.plan, enrolment.billing_period(enrolment.next_period)
    if period is not None and plan.live_credits:
        lot = book.open_lot("plan", plan.lot_length, period.ends_at, enrolment_id=enrolment.id, period=period.number)
        reason = f"Plan {plan.id}, period from {period.first_day}." if plan.months else f"Plan {plan.id}."
        book.transfer("grant", GRANTED, Account.available(lot), Note(now, SYSTEM, reason), plan.live_credits)
    book.put(enrolment.awaiting(enrolment.next_period + 1))


def _same(book: Book, coverage: EnrolmentRequest, now: datetime) -> Enrolment | None:
    """The enrolment that is asked for already, or that is resumed by it: the one that counted last; None: a new one is."""
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
    """The days from which on it would be resumed (PLAN-1): the one on which another plan took its place, and today if that was
    agreed to today, for whichever day."""
    if enrolment.covers_until == end_of(enrolment.ends_on, enrolment.time_zone):
        return set()
    days = {each.starts_on for each in book.enrolments if each.covers_from == enrolment.covers_until}
    today = local_day(now, enrolment.time_zone)
    if enrolment.replaced_at is not None and local_day(enrolment.replaced_at, enrolment.time_zone) == today:
        days.add(today)
    return days


def _make_way(book: Book, enrolment: Enrolment, now: datetime) -> tuple[Enrolment, ...]:
    """Ends every other coverage where this one begins; answers those that reached beyond."""
    return tuple(
        _end(book, each, enrolment.covers_from, now)
        for each in list(book.enrolments)
        if each.id != enrolment.id and (each.covers_until is None or each.covers_until > enrolment.covers_from)
    )


def _end(book: Book, enrolment: Enrolment, at: datetime, now: datetime) -> Enrolment:
    """Ends coverage at an instant; what is unspent of its credits lapses then."""
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
    """Moves the agreed end of an enrolment, and with it the end of its lots; what lapsed today of those that stand is back."""
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
