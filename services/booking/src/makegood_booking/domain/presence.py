"""Who was in the room when, and what follows from it (JOIN-2, MISS-1, NOSH-1), as one function.

Times count from the start. Somebody who leaves at a moment is still there at that moment. If one leaves before the
other comes, even at the same moment, they have not met: the order of their coming and going counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, Literal, NamedTuple

from makegood_contracts.events import Party, SessionOutcome
from makegood_contracts.values import Value, replace

from makegood_booking.domain.policy import Policy

AbsentParty = Literal["provider", "member", "both"]


class Attendance(Value, frozen=True):
    """The result of all joining and leaving, however often somebody comes and goes.

    A stay that ended before the start leaves no trace once its party comes back, because it was no presence.
    """

    member_joined_at: datetime | None = None
    member_left_at: datetime | None = None
    provider_joined_at: datetime | None = None
    provider_left_at: datetime | None = None
    together_since: datetime | None = None
    """Since when both are in the room, or the start, which may still be in the future."""
    together: timedelta = timedelta()
    """How long the two were together in total, until one of them last left the other."""
    first_left: Party | None = None
    """Who ended the first time that they were together."""

    @property
    def met(self) -> bool:
        """Whether the two were present at the same moment. Before the start: whether they will be if they stay."""
        return self.together_since is not None or self.first_left is not None

    def joined_at(self, party: Party) -> datetime | None:
        return self.member_joined_at if party == "member" else self.provider_joined_at

    def left_at(self, party: Party) -> datetime | None:
        return self.member_left_at if party == "member" else self.provider_left_at

    def in_room(self, party: Party) -> bool:
        """Whether the party is in the room now."""
        return self.joined_at(party) is not None and self.left_at(party) is None

    def was_present(self, party: Party, starts_at: datetime) -> bool:
        """Whether the party was in the room at the start or later, or will have been if it stays where it is."""
        left = self.left_at(party)
        return self.joined_at(party) is not None and (left is None or left >= starts_at)

    def came(self, party: Party, at: datetime, starts_at: datetime) -> Attendance:
        """The party, who was not in the room, comes in."""
        first = self.joined_at(party) if self.was_present(party, starts_at) else None
        changes: dict[str, Any] = {f"{party}_joined_at": first or at, f"{party}_left_at": None}
        if self.in_room(_other(party)):
            changes["together_since"] = max(at, starts_at)
        return replace(self, **changes)

    def went(self, party: Party, at: datetime, ends_at: datetime) -> Attendance:
        """The party, who was in the room, leaves it. After the end, nobody is together any more."""
        changes: dict[str, Any] = {f"{party}_left_at": at, "together_since": None}
        if self.together_since is not None and self.together_since <= at:
            changes["together"] = self.together + (min(at, ends_at) - self.together_since)
            changes["first_left"] = self.first_left or party
        return replace(self, **changes)


PARTIES: Final[tuple[Party, Party]] = ("member", "provider")
NOBODY: Final = Attendance()
"""Nobody has joined yet."""


class AttendanceVerdict(NamedTuple):
    """How the session ends, and when, if nobody comes or goes until then. `unknown`: the provider is asked."""

    at: datetime
    outcome: SessionOutcome | Literal["unknown"]
    absent: AbsentParty | None = None


def verdict(
    seen: Attendance, policy: Policy, starts_at: datetime, ends_at: datetime, *, in_person: bool = False
) -> AttendanceVerdict:
    """JOIN-2: how a session ends, by who was there.

    `seen` must not contain anybody who came after the moment of the verdict that held before. A caller that is late
    must ask for that verdict first.

    In person, two people meet whether or not they check in (JOIN-3). If nobody has checked in by the end of the grace,
    the table says nothing about those who do so later or never. Then only a check-in of both counts; otherwise the
    provider is asked.

    A session can be over before these waiting times are. Its outcome is then found when the waiting time ends.
    """
    grace, no_show = policy.provider_missed_at(starts_at), policy.no_show_at(starts_at)
    if seen.met:
        return _of_a_meeting(seen, policy, grace, ends_at)
    if in_person and not any(_present_by(seen, party, starts_at, grace) for party in PARTIES):
        return AttendanceVerdict(ends_at, "unknown")
    member_came = seen.was_present("member", starts_at)
    if not _present_by(seen, "provider", starts_at, grace):
        return AttendanceVerdict(grace, "provider_missed", "provider" if member_came else "both")
    if not _in_room_at(seen, "provider", min(no_show, ends_at)):
        return AttendanceVerdict(no_show, "provider_missed", "provider" if member_came else "both")
    if not _present_by(seen, "member", starts_at, no_show):
        return AttendanceVerdict(no_show, "member_no_show", "member")
    return AttendanceVerdict(max(ends_at, no_show), "provider_missed", "both")


def _of_a_meeting(seen: Attendance, policy: Policy, grace: datetime, ends_at: datetime) -> AttendanceVerdict:
    together = seen.together
    if seen.together_since is not None:
        together += ends_at - seen.together_since
    if policy.too_short(together) and seen.first_left == "provider":
        return AttendanceVerdict(max(ends_at, grace), "provider_missed", "provider")
    return AttendanceVerdict(ends_at, "completed")


def _present_by(seen: Attendance, party: Party, starts_at: datetime, moment: datetime) -> bool:
    joined = seen.joined_at(party)
    return joined is not None and joined < moment and seen.was_present(party, starts_at)


def _in_room_at(seen: Attendance, party: Party, moment: datetime) -> bool:
    left = seen.left_at(party)
    return left is None or left >= moment


def _other(party: Party) -> Party:
    return "provider" if party == "member" else "member"
