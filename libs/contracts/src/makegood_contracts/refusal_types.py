"""The problem types by which the rules of the product refuse, by what they are about."""

from __future__ import annotations

from typing import Final

from makegood_contracts.problem_types import ProblemType

# About what the member's plan pays for.
COVERAGE: Final = (
    ProblemType(
        slug="no-session-credits",
        status=409,
        title="No session credits available",
        when="No credit is left for a session of this length on that day.",
        remedy="Where `purchasable` is true a credit can be bought; else wait for the next period.",
    ),
    ProblemType(
        slug="coverage-ended",
        status=409,
        title="Coverage has ended",
        when="The member's coverage does not reach the session's day.",
        remedy="Renew the coverage.",
    ),
    ProblemType(
        slug="outstanding-charges",
        status=409,
        title="Outstanding charges",
        when="An invoice is overdue.",
        remedy="Pay the balance.",
    ),
    ProblemType(
        slug="plan-excludes-live-sessions",
        status=409,
        title="The plan has no live sessions",
        when="The member's plan is for messaging only.",
        remedy="Change the plan.",
    ),
    ProblemType(
        slug="length-not-in-plan",
        status=409,
        title="Length not in the plan",
        when="The plan does not include sessions of this length.",
        remedy="Choose one of the plan's lengths.",
    ),
    ProblemType(
        slug="modality-not-in-plan",
        status=409,
        title="Modality not in the plan",
        when="The plan does not include sessions of this kind.",
        remedy="Choose one of the plan's modalities.",
    ),
    ProblemType(
        slug="plan-unknown",
        status=422,
        title="Unknown plan",
        when="There is no plan of this id.",
        remedy="Choose one of `GET /v1/plans`.",
    ),
    ProblemType(
        slug="purchase-not-allowed",
        status=409,
        title="No purchase on this plan",
        when="Single credits cannot be bought on the member's plan, or there is no coverage.",
        remedy="See `remedy`.",
    ),
    ProblemType(
        slug="invoice-not-payable",
        status=409,
        title="Nothing to pay",
        when="The invoice is paid, void, or not due yet.",
        remedy="Nothing to do.",
    ),
    ProblemType(
        slug="payment-refused",
        status=409,
        title="The payment provider refuses this payment",
        when="The payment provider will never take this payment as it is. `reasons` says why: `amount-too-small`, "
        "`amount-too-large`, `amount-not-divisible`, `currency-not-supported`, or `payment-refused` for anything else.",
        remedy="Do not repeat it. Buy another quantity, or ask support how this charge can be paid.",
    ),
    ProblemType(
        slug="credit-already-returned",
        status=409,
        title="Credit already returned",
        when="The credit of this session came back already.",
        remedy="Nothing to do.",
    ),
)


# About rooms, times and places.
TIMES: Final = (
    ProblemType(
        slug="room-closed",
        status=409,
        title="The room is closed",
        when="Bookings need an active room.",
        remedy="Restart therapy, or book in the active room.",
    ),
    ProblemType(
        slug="room-inactive",
        status=409,
        title="The room is inactive",
        when="The member was not active for more than 25 days.",
        remedy="Restart therapy with the provider, or match with a new one.",
    ),
    ProblemType(
        slug="restart-not-allowed",
        status=409,
        title="Restart not allowed",
        when="Therapy cannot be restarted here on this plan.",
        remedy="See `remedy`.",
    ),
    ProblemType(
        slug="member-busy",
        status=409,
        title="The member is busy",
        when="The member is not available at that time.",
        remedy="Choose another time.",
    ),
    ProblemType(
        slug="slot-taken",
        status=409,
        title="The slot is taken",
        when="Another session or its buffers take that time.",
        remedy="Choose another slot.",
    ),
    ProblemType(
        slug="slot-not-offered",
        status=409,
        title="The slot is not offered",
        when="The provider does not offer a session of this length and kind at that time.",
        remedy="Choose one of the slots.",
    ),
    ProblemType(
        slug="venue-taken",
        status=409,
        title="The venue is taken",
        when="Another session takes the venue at that time.",
        remedy="Choose another venue or time.",
    ),
    ProblemType(
        slug="provider-unavailable",
        status=409,
        title="The provider is not available",
        when="The provider offers no times now.",
        remedy="Message the provider.",
    ),
    ProblemType(
        slug="waitlist-full",
        status=409,
        title="Too many wishes",
        when="Five wishes of this room wait already.",
        remedy="Take one off the waitlist, or wait for one that is open.",
    ),
    ProblemType(
        slug="sessions-in-time-off",
        status=409,
        title="Sessions lie inside",
        when="Sessions lie inside the time off, and the request did not say what happens to them.",
        remedy=(
            'Read `sessions`, the first hundred of `session_count`; repeat with `sessions: "keep"` or '
            '`sessions: "cancel"`.'
        ),
    ),
    ProblemType(
        slug="temporary-interruption",
        status=409,
        title="Temporary interruption",
        when="The booking could not be finished in time; nothing was taken.",
        remedy="Try again later.",
    ),
)


# About what can be done with a session, by whom and when.
SESSIONS: Final = (
    ProblemType(
        slug="forfeit-not-accepted",
        status=409,
        title="The credit would be forfeited",
        when="With less notice than the policy asks, the credit is lost, and the request did not accept that.",
        remedy="Read `policy`; repeat with `accept_forfeit: true` if you accept.",
    ),
    ProblemType(
        slug="member-must-be-told",
        status=409,
        title="The member must be told",
        when="The old or the new start is not farther away than the notice that the policy asks.",
        remedy="Repeat without `notify_member: false`.",
    ),
    ProblemType(
        slug="too-early-to-join",
        status=409,
        title="Too early to join",
        when="Joining opens 10 minutes before the start.",
        remedy="Come back at `opens_at`.",
    ),
    ProblemType(
        slug="join-link-invalid",
        status=400,
        title="The join link opens nothing",
        when="The token of the join link is forged, has expired or was revoked.",
        remedy="Let the person join again (`POST /v1/sessions/{id}/join`), which answers a new link.",
    ),
    ProblemType(
        slug="not-confirmed",
        status=409,
        title="Not confirmed",
        when="The session is not confirmed.",
        remedy="Wait for the provider to confirm.",
    ),
    ProblemType(
        slug="session-over",
        status=409,
        title="The session is over",
        when="The session has ended, so it cannot be changed any more.",
        remedy="Book a new one.",
    ),
    ProblemType(
        slug="no-show-not-possible",
        status=409,
        title="No-show not possible",
        when="The provider can mark a no-show from 10 minutes after the start (the policy's `grace_minutes`), while they are in "
        "the room, and only if the member has not been there since the start.",
        remedy="Join the session and wait for the member, or complete the session.",
    ),
    ProblemType(
        slug="move-pending",
        status=409,
        title="A move is under way",
        when="Another change of this session's time is still being decided.",
        remedy="Repeat after `Retry-After`.",
    ),
    ProblemType(
        slug="no-outcome",
        status=409,
        title="No outcome",
        when="The session has no outcome that can be disputed or corrected.",
        remedy="Wait until the session has ended.",
    ),
    ProblemType(
        slug="outcome-not-asked",
        status=409,
        title="Nobody asked how it went",
        when="The provider says how a session went only if it was in person, has ended, and nobody had checked in.",
        remedy="Wait for the end, or dispute the outcome if it is wrong.",
    ),
    ProblemType(
        slug="check-in-code-wrong",
        status=409,
        title="Wrong check-in code",
        when="The code is not the one that is shown at the session's venue now.",
        remedy="Read the code at the venue again, or let the provider check in for both.",
    ),
    ProblemType(
        slug="reminder-not-possible",
        status=409,
        title="No reminder this way",
        when="The member's plan or choices do not allow reminders by this channel.",
        remedy="Use the other channel.",
    ),
    ProblemType(
        slug="confirmation-invalid",
        status=409,
        title="The link does not confirm anything",
        when="The link was used, has expired, belongs to another person, or a newer one was sent.",
        remedy="Change the address again; a new link is sent.",
    ),
    ProblemType(
        slug="too-soon",
        status=409,
        title="Too soon",
        when="This sends a message to somebody, so it is possible only now and then. It was done a short while ago.",
        remedy="Wait as long as `Retry-After` says; `next_at` names the moment.",
    ),
    ProblemType(
        slug="conflict-of-interest",
        status=403,
        title="Somebody else has to do this",
        when="Support may not decide about their own sessions and credits, nor approve what they proposed themselves.",
        remedy="Ask a colleague.",
    ),
    ProblemType(
        slug="already-decided",
        status=409,
        title="Already decided",
        when="The proposal was approved or rejected before.",
        remedy="Read it again; propose anew if more is needed.",
    ),
    ProblemType(
        slug="support-may-not",
        status=403,
        title="Support may not",
        when="Support books only video sessions for members with health insurance, and never cancels or moves one.",
        remedy="Ask the member or the provider.",
    ),
)
