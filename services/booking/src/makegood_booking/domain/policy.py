"""The cancellation and attendance policy: every number of the rules, in versions that never change."""

from __future__ import annotations

from datetime import datetime, timedelta

from makegood_contracts.events import PolicyChanged
from makegood_contracts.values import Value, fields

from makegood_booking.domain.time import days, hours, minutes


class Policy(Value, frozen=True):
    """One version. A session keeps the version that it was booked under, so a later version never changes it."""

    id: str
    version: int
    notice_hours: int = 48
    """With this much notice a member can cancel without loss (CANC-1)."""
    confirm_hours: int = 24
    """The provider must confirm this long before the start (CONF-2)."""
    confirm_short_hours: int = 2
    """The provider must confirm this long after the booking, if it was made with less notice than `short_notice_hours`
    (CONF-2).
    """
    short_notice_hours: int = 26
    reconfirm_hours: int = 48
    """The provider is asked again this long before the start (CONF-3)."""
    reminder_hours: tuple[int, ...] = (24, 1)
    """Both parties are reminded this long before the start (REM-1)."""
    join_minutes: int = 10
    """Joining opens this long before the start (JOIN-1)."""
    grace_minutes: int = 10
    """How long the member waits for the provider after the start (MISS-1)."""
    no_show_minutes: int = 15
    """How long the provider waits for the member after the start (NOSH-1)."""
    cooling_off_minutes: int = 15
    """How long after booking the member can cancel without loss, whatever the notice (CANC-1)."""
    together_minutes: int = 5
    """If the two were together for less time than this, a provider who left first has missed the session (JOIN-2)."""
    answer_hours: int = 24
    """How long after the end the provider can answer how a session in person went (JOIN-3)."""
    inactivity_days: int = 25
    offer_minutes: int = 120
    hold_minutes: int = 15
    """A hold that is never settled lapses this long after the request (AVAIL-4)."""
    decide_minutes: int = 5
    """A booking that is not decided this long after the request is refused. It is less than half of `hold_minutes`, so
    that a decision has more time to reach the holds than it took.
    """
    horizon_days: int = 366
    shortest_minutes: int = 5
    longest_minutes: int = 480
    adjustment_limit: int = 10
    """Credits that one support agent can give or take within a day. More needs a second person (CRED-5)."""
    co_pay_due_days: int = 14
    """How long after the session its co-pay is due (CRED-7)."""
    invoice_limit_minor: int = 100_000
    """The most that the invoices of a session's extensions can add up to, in the currency's minor unit (EXT-1)."""
    free_change_days: int = 30
    """Once in this many days, a change of provider costs nothing, even for sessions within the notice (ROOM-3)."""

    @property
    def text(self) -> str:
        """The policy in plain English, for people to read before they book (BOOK-3)."""
        return (
            f"Cancel {many(self.notice_hours, 'hour')} or more before the start and your session credit comes back. "
            f"With less notice you can still cancel, but the credit is forfeited. {self._cooling_off}"
            f"Once the session should have started, you can cancel without loss while your provider is not there. "
            f"Moving a session requires the same notice. With less notice, the new time costs another credit. "
            f"Your provider confirms the session at least {many(self.confirm_hours, 'hour')} before the start. If you book less "
            f"than {many(self.short_notice_hours, 'hour')} ahead, your provider confirms within "
            f"{many(self.confirm_short_hours, 'hour')} of the booking and before the start. If the session is not confirmed in "
            f"time, it ends and your credit comes back. "
            f"You can join from {many(self.join_minutes, 'minute')} before the start. "
            f"If your provider has not joined {many(self.grace_minutes, 'minute')} after the start, the session counts "
            f"as missed by the provider and your credit comes back automatically. "
            f"If your provider is there and you have not joined {many(self.no_show_minutes, 'minute')} after the start, the "
            f"session counts as a no-show and the credit is forfeited. If you both joined but never met, or if your provider left "
            f"first after less than {many(self.together_minutes, 'minute')} together, the session counts as missed by the "
            f"provider. For an in-person session, check in at the venue, or let your provider check in for both of you. If "
            f"nobody checks in, your provider has {many(self.answer_hours, 'hour')} after the end to report how it went. Without "
            f"a report, the session counts as missed by the provider. If your provider cancels, your credit always comes back. "
            f"If your provider moves the session, or adds an invoice before it starts, you can cancel or move it without loss, "
            f"whatever the notice. "
            f"If you change your provider, your upcoming sessions are cancelled without loss. For sessions with less notice "
            f"than this policy requires, this is free only once in {many(self.free_change_days, 'day')}."
        )

    @property
    def _cooling_off(self) -> str:
        if self.cooling_off_minutes == 0:
            return ""
        within = many(self.cooling_off_minutes, "minute")
        return f"Within {within} of booking you can cancel without loss, whatever the notice. This does not apply to moves. "

    def hold_until(self, requested_at: datetime) -> datetime:
        """When a hold lapses that nobody has settled (AVAIL-4)."""
        return requested_at + minutes(self.hold_minutes)

    def decide_by(self, requested_at: datetime) -> datetime:
        """When a booking that is still undecided is given up, well before its holds lapse."""
        return requested_at + minutes(self.decide_minutes)

    def confirm_by(self, starts_at: datetime, requested_at: datetime) -> datetime:
        """CONF-2: the time by which the provider must confirm."""
        if starts_at - requested_at < hours(self.short_notice_hours):
            return min(requested_at + hours(self.confirm_short_hours), starts_at)
        return starts_at - hours(self.confirm_hours)

    def change_is_free(self, last_free_at: datetime | None, now: datetime) -> bool:
        """ROOM-3: whether a change of provider costs nothing, even if sessions lie within the notice."""
        return last_free_at is None or now - last_free_at >= days(self.free_change_days)

    def reconfirm_at(self, starts_at: datetime) -> datetime:
        """CONF-3: when the provider is asked whether the time still holds."""
        return starts_at - hours(self.reconfirm_hours)

    def remind_at(self, starts_at: datetime, now: datetime) -> tuple[datetime, ...]:
        """When both parties are reminded of a start. Moments that have passed are left out (REM-1)."""
        moments = (starts_at - hours(before) for before in self.reminder_hours)
        return tuple(sorted(moment for moment in moments if moment > now))

    def free_until(self, starts_at: datetime) -> datetime:
        """The last moment at which the member can cancel without loss (CANC-1). It counts elapsed hours, not wall
        time."""
        return starts_at - hours(self.notice_hours)

    def cooled_off_at(self, requested_at: datetime) -> datetime:
        """The last moment at which a booking made at `requested_at` can be cancelled without loss (CANC-1)."""
        return requested_at + minutes(self.cooling_off_minutes)

    def too_short(self, together: timedelta) -> bool:
        """Whether the two were together for less time than a session needs to count (JOIN-2)."""
        return together < minutes(self.together_minutes)

    def join_opens(self, starts_at: datetime) -> datetime:
        """The first moment at which the parties can join (JOIN-1)."""
        return starts_at - minutes(self.join_minutes)

    def provider_missed_at(self, starts_at: datetime) -> datetime:
        """The moment from which an absent provider has missed the session (MISS-1)."""
        return starts_at + minutes(self.grace_minutes)

    def answer_by(self, ends_at: datetime) -> datetime:
        """The time by which the provider must report how a session in person went (JOIN-3)."""
        return ends_at + hours(self.answer_hours)

    def no_show_at(self, starts_at: datetime) -> datetime:
        """The moment from which an absent member is automatically a no-show (NOSH-1)."""
        return starts_at + minutes(self.no_show_minutes)


def impossible(policy: Policy) -> tuple[str, str] | None:
    """The first number that no policy can have, and why.

    Numbers that contradict each other would end sessions at once, or leave holds that lapse before anybody decides.
    """
    for field in fields(policy):
        value = getattr(policy, field.name)
        largest = _LARGEST_MONEY if field.name.endswith("_minor") else _LARGEST
        if field.name in _SMALLEST and not _SMALLEST[field.name] <= value <= largest:
            return field.name, f"Must be from {_SMALLEST[field.name]} to {largest}."
    reminders = policy.reminder_hours
    if len(reminders) > 8 or len(set(reminders)) < len(reminders) or not all(0 < hours <= 720 for hours in reminders):
        return "reminder_hours", "Must be at most 8 different hours, each from 1 to 720."
    if policy.short_notice_hours <= policy.confirm_hours:
        return "short_notice_hours", "Must be more than `confirm_hours`, so that there is time to confirm."
    if policy.no_show_minutes < policy.grace_minutes:
        return "no_show_minutes", "Must be at least `grace_minutes`: until then the provider is still expected."
    if policy.hold_minutes <= 2 * policy.decide_minutes:
        return "hold_minutes", "Must be more than twice `decide_minutes`, so that no hold lapses undecided."
    if policy.together_minutes > policy.shortest_minutes:
        return "together_minutes", "Must be at most `shortest_minutes`, so that the shortest session can count."
    if policy.longest_minutes < policy.shortest_minutes:
        return "longest_minutes", "Must be at least `shortest_minutes`."
    return None


def many(count: int, unit: str) -> str:
    """The count with its unit, such as `1 hour` or `2 hours`."""
    return f"{count} {unit}{'' if count == 1 else 's'}"


_LARGEST = 10_000
_LARGEST_MONEY = 100_000_000
_SMALLEST = {
    "notice_hours": 0,
    "confirm_hours": 0,
    "confirm_short_hours": 1,
    "short_notice_hours": 1,
    "reconfirm_hours": 1,
    "join_minutes": 0,
    "grace_minutes": 1,
    "no_show_minutes": 1,
    "cooling_off_minutes": 0,
    "together_minutes": 0,
    "answer_hours": 1,
    "inactivity_days": 1,
    "offer_minutes": 1,
    "hold_minutes": 1,
    "decide_minutes": 1,
    "horizon_days": 1,
    "shortest_minutes": 1,
    "longest_minutes": 1,
    "adjustment_limit": 0,
    "co_pay_due_days": 1,
    "invoice_limit_minor": 0,
    "free_change_days": 0,
}

STANDARD = Policy("standard", 1)
"""The policy that every installation starts with."""


def changed(policy: Policy, now: datetime) -> PolicyChanged:
    """The event that publishes a new version."""
    return PolicyChanged(
        policy_id=policy.id,
        policy_version=policy.version,
        in_force_from=now,
        notice_hours=policy.notice_hours,
        confirm_hours=policy.confirm_hours,
        join_minutes=policy.join_minutes,
        grace_minutes=policy.grace_minutes,
        no_show_minutes=policy.no_show_minutes,
        cooling_off_minutes=policy.cooling_off_minutes,
        together_minutes=policy.together_minutes,
        inactivity_days=policy.inactivity_days,
        offer_minutes=policy.offer_minutes,
        adjustment_limit=policy.adjustment_limit,
        co_pay_due_days=policy.co_pay_due_days,
    )
