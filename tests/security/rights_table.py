"""Who may do what, through the gateway: the rights of the interface written out by hand, one line an operation (SEC-1).

Nothing here is read from the services' own tables of rights; that is what makes it worth comparing with them. An operation
that has no line fails the tests, so whoever adds one adds its line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Actor = Literal["member", "provider", "other member", "other provider", "support", "ops", "nobody"]
Outcome = Literal["let in", "own only", "unauthenticated", "forbidden", "not found"]

ACTORS: Final[tuple[Actor, ...]] = (
    "member", "provider", "other member", "other provider", "support", "ops", "nobody",
)  # fmt: skip
"""`member` and `provider` share the room, the session and everything else that the requests are about; the others have no part
in it."""

ROLE: Final[Mapping[str, str]] = {
    "member": "member",
    "other member": "member",
    "provider": "provider",
    "other provider": "provider",
    "support": "support",
    "ops": "ops",
}


@dataclass(frozen=True)
class Right:
    """Who may. `who`: of the five who have to do with the thing. `roles`: who has the operation at all, if that is more.

    `shares`: a list or a thing of everybody's: whoever has the role is let in and sees nothing of other people's.
    `public`: needs no token. `body`: fields of the request that differ from the document's example.
    `refused`: the problem that a role without the operation is answered with, where it is not `forbidden`.
    """

    who: tuple[Actor, ...]
    roles: frozenset[str] = frozenset()
    shares: bool = False
    public: bool = False
    body: Mapping[str, Any] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def expected(self, actor: Actor) -> Outcome:
        """What the actor's request comes to."""
        if self.public or actor in self.who:
            return "let in"
        if actor == "nobody":
            return "unauthenticated"
        if ROLE[actor] not in {ROLE[each] for each in self.who} | self.roles:
            return "forbidden"
        return "own only" if self.shares else "not found"


def may(*who: Actor, roles: tuple[str, ...] = (), refused: Mapping[str, str] | None = None, **body: Any) -> Right:
    """These may; others of their roles do not find the thing, other roles never have the operation."""
    return Right(who, roles=frozenset(roles), body=body, refused=refused or {})


def own(*who: Actor, **body: Any) -> Right:
    """Whoever has one of these roles may, and sees or makes what is their own."""
    return Right(who, shares=True, body=body)


def anyone(**body: Any) -> Right:
    """Anyone signed in; the thing is everybody's."""
    return Right(tuple(actor for actor in ACTORS if actor != "nobody"), body=body)


def public(**body: Any) -> Right:
    """Without a token too."""
    return Right((), public=True, body=body)


PARTIES: Final = ("member", "provider")
PERSON: Final[tuple[str, ...]] = ("member", "provider")
"""Roles that have contact details; everybody only their own."""
SUPPORT_MAY_NOT: Final = {"support": "support-may-not"}

RIGHTS: Final[Mapping[str, Right]] = {
    # -- booking: rooms
    "POST /v1/rooms": may("support", "ops"),
    "GET /v1/rooms": own(*PARTIES, "support"),
    "GET /v1/rooms/{room_id}": may(*PARTIES, "support"),
    "GET /v1/rooms/{room_id}/bookability": may(*PARTIES, "support"),
    # -- booking: policies
    "GET /v1/policies/current": anyone(),
    "GET /v1/policies": may("ops"),
    # The numbers that stand: every other story is played under them.
    "POST /v1/policies": may("ops", notice_hours=48, reminder_hours=[24, 1]),
    # -- booking: sessions
    "POST /v1/sessions": may(*PARTIES, "support"),
    "GET /v1/sessions": own(*PARTIES, "support"),
    "GET /v1/sessions/{session_id}": may(*PARTIES, "support"),
    "GET /v1/sessions/{session_id}/policy": may(*PARTIES, "support"),
    "GET /v1/sessions/{session_id}/history": may(*PARTIES, "support"),
    "GET /v1/sessions/{session_id}/fhir": may(*PARTIES, "support"),
    "POST /v1/sessions/{session_id}/confirm": may("provider"),
    "POST /v1/sessions/{session_id}/extend": may("provider", ends_at="{extended_end}", invoice=None),
    "POST /v1/sessions/{session_id}/no-show": may("provider"),
    "POST /v1/sessions/{session_id}/outcome": may("provider"),
    "POST /v1/sessions/{session_id}/decline": may("provider"),
    "POST /v1/sessions/{session_id}/reschedule": may(*PARTIES, refused=SUPPORT_MAY_NOT),
    "POST /v1/sessions/{session_id}/join": may(*PARTIES, venue_code=None),
    "POST /v1/sessions/{session_id}/leave": may(*PARTIES),
    "POST /v1/join-links/verify": public(),
    "POST /v1/sessions/{session_id}/dispute": may(*PARTIES),
    "POST /v1/sessions/{session_id}/correct": may("support"),
    "POST /v1/sessions/{session_id}/cancel": may(*PARTIES, refused=SUPPORT_MAY_NOT),
    "GET /v1/booking/access": may("support"),
    # -- availability
    "PUT /v1/providers/{provider_id}/schedule": may("provider", "support"),
    "GET /v1/providers/{provider_id}/schedule": may("provider", "support"),
    "POST /v1/providers/{provider_id}/time-off": may("provider", "support"),
    "GET /v1/providers/{provider_id}/time-off": may("provider", "support"),
    "DELETE /v1/providers/{provider_id}/time-off/{time_off_id}": may("provider", "support"),
    "GET /v1/providers/{provider_id}/slots": anyone(),
    "GET /v1/providers/{provider_id}/availability": anyone(),
    "GET /v1/venues": anyone(),
    "GET /v1/venues/{venue_id}": anyone(),
    "POST /v1/venues": may("ops"),
    "PUT /v1/venues/{venue_id}": may("ops"),
    "GET /v1/venues/{venue_id}/check-in-code": may("ops"),
    "POST /v1/venues/{venue_id}/check-in-code": may("ops"),
    "POST /v1/rooms/{room_id}/waitlist": may("member"),
    "GET /v1/rooms/{room_id}/waitlist": may("member", "provider", "support"),
    "DELETE /v1/rooms/{room_id}/waitlist/{entry_id}": may("member"),
    "GET /v1/availability/access": may("support"),
    # -- credits
    "GET /v1/plans": anyone(),
    "PUT /v1/members/{member_id}/enrolment": may("support", "ops"),
    "GET /v1/members/{member_id}/enrolment": may("member", "support"),
    "GET /v1/members/{member_id}/credits": may("member", "support"),
    "GET /v1/members/{member_id}/ledger": may("member", "support"),
    "GET /v1/members/{member_id}/invoices": may("member", "support"),
    "GET /v1/members/{member_id}/invoices/{invoice_id}": may("member", "support"),
    "POST /v1/members/{member_id}/invoices/{invoice_id}/pay": may("member"),
    "POST /v1/members/{member_id}/invoices/{invoice_id}/void": may("support"),
    "POST /v1/members/{member_id}/adjustments": may("support"),
    "GET /v1/credits/adjustment-proposals": may("support"),
    "GET /v1/members/{member_id}/adjustment-proposals": may("support"),
    "GET /v1/members/{member_id}/adjustment-proposals/{proposal_id}": may("support"),
    "POST /v1/members/{member_id}/adjustment-proposals/{proposal_id}/approve": may("support"),
    "POST /v1/members/{member_id}/adjustment-proposals/{proposal_id}/reject": may("support"),
    "POST /v1/purchases": own("member"),
    "GET /v1/purchases": own("member", "support"),
    "GET /v1/purchases/{purchase_id}": may("member", "support"),
    "POST /v1/webhooks/payments": public(),
    "GET /v1/credits/access": may("support"),
    # -- notifications
    "PUT /v1/people/{person_id}/contact": may("member", roles=PERSON),
    "GET /v1/people/{person_id}/contact": may("member", roles=PERSON),
    "GET /v1/people/{person_id}/messages": may("member", roles=PERSON),
    "GET /v1/people/{person_id}/export": may("member", roles=PERSON),
    "GET /v1/people/{person_id}/erasure": may("member", "support", roles=PERSON),
    "POST /v1/people/{person_id}/contact/confirmations": may("member", roles=PERSON),
    "POST /v1/people/{person_id}/calendar-feed": may("member", roles=PERSON),
    "DELETE /v1/people/{person_id}/calendar-feed": may("member", roles=PERSON),
    # A token that nobody has: the stories go on with theirs.
    "POST /v1/people/{person_id}/revocations": may("ops", jti="nobody-has-it"),
    "GET /v1/people/{person_id}/revocations": may("ops"),
    "GET /v1/rooms/{room_id}/messages": may(*PARTIES),
    "POST /v1/rooms/{room_id}/messages": may(*PARTIES),
    "POST /v1/rooms/{room_id}/time-request": may("member"),
    "POST /v1/sessions/{session_id}/reminders": may("provider"),
    "GET /v1/sessions/{session_id}/calendar.ics": may(*PARTIES),
    "GET /v1/calendar/{secret}.ics": public(),
    "GET /v1/unsubscribe/{token}": public(),
    "POST /v1/unsubscribe/{token}": public(),
    "GET /v1/deliveries": own(*PARTIES, "support"),
    "GET /v1/stream": own(*PARTIES),
    "GET /v1/notifications/access": may("support"),
    # -- what ends something comes last
    "POST /v1/rooms/{room_id}/restart": may("member", "support"),
    "POST /v1/rooms/{room_id}/change-provider": may("member", "support", provider_id="{other_provider_id}"),
    "POST /v1/rooms/{room_id}/close": may(*PARTIES, "support"),
    "DELETE /v1/people/{person_id}": may("member", "support", roles=PERSON),
    "DELETE /v1/people/{person_id}/erasure": may("member", "support", roles=PERSON),
}
"""Operation, as the OpenAPI documents spell it → who may. Requests that change something are made in this order."""

ABOUT_NOBODY: Final = frozenset(
    {
        "GET /v1/policies/current", "GET /v1/policies", "POST /v1/policies",
        "GET /v1/venues", "GET /v1/venues/{venue_id}", "POST /v1/venues", "PUT /v1/venues/{venue_id}",
        "GET /v1/venues/{venue_id}/check-in-code", "POST /v1/venues/{venue_id}/check-in-code",
        "GET /v1/providers/{provider_id}/slots", "GET /v1/providers/{provider_id}/availability", "GET /v1/plans",
    }
)  # fmt: skip
"""Operations that support and ops need no reason for: what they show is for everybody to see (SEC-5)."""

HIDDEN: Final = tuple(
    f"{method} /v1/{service}/dev/clock"
    for service in ("booking", "availability", "credits", "notifications")
    for method in ("GET", "PUT")
)
"""The development clock is in no document; it is for ops alone."""
