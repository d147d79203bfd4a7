"""What people do about a session: confirm it, cancel it, move it, come to it or not."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from makegood_booking.domain.attendance import confirm, decline, join, leave
from makegood_booking.domain.cancelling import cancel

from makegood_cli.year.calendar import illness
from makegood_cli.year.simulation import Simulation

if TYPE_CHECKING:
    from makegood_cli.year.members import Member
    from makegood_cli.year.sessions import SessionRun

_MINUTE: Final = timedelta(minutes=1)
_HOUR: Final = timedelta(hours=1)
_DECLINED: Final = 0.015
_NEVER_ANSWERED: Final = 0.012
_CANCELLED_BY_PROVIDER: Final = 0.015
_MOVED_BY_MEMBER: Final = 0.035
_MOVED_BY_PROVIDER: Final = 0.02
_NOBODY_WAITS: Final = 15 * _MINUTE


def after_reserved(simulation: Simulation, run: SessionRun, member: Member, *, again: bool = False) -> None:
    """The provider answers, and both may change their minds. `again`: only the answer to a member's move."""
    left = (run.session.confirm_by or run.session.booked.starts_at) - simulation.now
    soon = simulation.between(_MINUTE, min(9 * _HOUR, left * 0.9))
    luck = simulation.random.random()
    if luck < _DECLINED and not again:
        simulation.after(soon, lambda: run.act(decline))
    elif luck < 1 - _NEVER_ANSWERED:
        simulation.after(soon, lambda: run.act(confirm))
    if again:
        return
    starts_at = run.session.booked.starts_at
    ahead = starts_at - simulation.now
    if simulation.chance(member.cancel_rate * illness(starts_at.date())):
        # Late more often than early.
        notice = ahead * simulation.random.betavariate(0.8, 2)
        simulation.at(starts_at - notice, lambda: run.act(cancel, "member", True))
    elif simulation.chance(_CANCELLED_BY_PROVIDER * illness(starts_at.date())):
        notice = min(ahead, 5 * 24 * _HOUR) * simulation.random.betavariate(0.8, 1.5)
        simulation.at(starts_at - notice, lambda: run.act(cancel, "provider", True))
    elif simulation.chance(_MOVED_BY_MEMBER):
        simulation.after(ahead * simulation.random.uniform(0.1, 0.6), lambda: _move(run, member, "member"))
    elif simulation.chance(_MOVED_BY_PROVIDER):
        simulation.after(ahead * simulation.random.uniform(0.2, 0.9), lambda: _move(run, member, "provider"))


def _move(run: SessionRun, member: Member, by: str) -> None:
    booked = run.session.booked
    if run.session.over:
        return
    starts_at = member.another_start(booked.starts_at, booked.length_minutes, booked.modality)
    if starts_at is not None:
        run.move("member" if by == "member" else "provider", starts_at)


def when_asked_again(simulation: Simulation, run: SessionRun) -> None:
    """Most providers reconfirm the time (CONF-3)."""
    if simulation.chance(0.85):
        simulation.after(simulation.between(5 * _MINUTE, 20 * _HOUR), lambda: run.act(confirm))


def before_the_start(simulation: Simulation, run: SessionRun, member: Member) -> None:
    """Ten minutes before, people decide whether they come."""
    starts_at = run.session.booked.starts_at
    simulation.at(starts_at - 10 * _MINUTE, lambda: _come(simulation, run, member, starts_at))


def _come(simulation: Simulation, run: SessionRun, member: Member, starts_at: datetime) -> None:
    session = run.session
    if session.over or session.booked.starts_at != starts_at:
        return
    ends_at, hour = session.booked.ends_at, starts_at.astimezone(member.provider.zone).hour
    # The first hour of the day and the one after lunch are missed more often; what was booked long ago is forgotten.
    early = 2.2 if hour <= 8 or hour == 13 else 0.8
    forgotten = 1.6 if starts_at - session.booked.requested_at > timedelta(days=7) else 0.8
    provider_comes = not simulation.chance(member.provider.miss_rate * early)
    member_comes = not simulation.chance(member.no_show_rate * forgotten)
    if provider_comes:
        came = starts_at + simulation.between(-8 * _MINUTE, 4 * _MINUTE)
        simulation.at(came, lambda: run.act(join, "provider"))
        gone = (
            ends_at + simulation.between(_MINUTE / 20, _MINUTE) if member_comes else starts_at + _NOBODY_WAITS + _MINUTE
        )
        simulation.at(gone, lambda: run.act(leave, "provider"))
    if member_comes:
        came = starts_at + simulation.between(-9 * _MINUTE, 6 * _MINUTE)
        simulation.at(came, lambda: run.act(join, "member"))
        early_end = simulation.between(15 * _MINUTE, 25 * _MINUTE) if simulation.chance(0.02) else None
        if not provider_comes:
            gone = starts_at + simulation.between(11 * _MINUTE, 14 * _MINUTE)
        else:
            gone = starts_at + early_end if early_end else ends_at + simulation.between(_MINUTE / 20, _MINUTE)
        simulation.at(gone, lambda: run.act(leave, "member"))
