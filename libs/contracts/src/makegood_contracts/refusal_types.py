"""Problem types for requests that a rule of the product refuses, grouped by subject."""

from __future__ import annotations

from typing import Final

from makegood_contracts.problem_types import ProblemType

# What the member's plan pays for.
COVERAGE: Final = (
    ProblemType(
        slug="no-session-credits",
        status=409,
        title="No session credits available",
        when="The member has no credit left for a session of this length on that day.",
        remedy="If `purchasable` is true, buy a credit. Otherwise wait for the next billing period.",
    ),
    ProblemType(
        slug="coverage-ended",
        status=409,
        title="Coverage has ended",
        when="The member has no coverage on the day of the session.",
        remedy="Renew the coverage.",
    ),
    ProblemType(
        slug="outstanding-charges",
        status=409,
        title="Outstanding charges",
        when="The member has an overdue invoice.",
        remedy="Pay the balance.",
    ),
    ProblemType(
        slug="plan-excludes-live-sessions",
        status=409,
        title="Plan does not include live sessions",
        when="The member's plan covers messaging only.",
        remedy="Change the plan.",
    ),
    ProblemType(
        slug="length-not-in-plan",
        status=409,
        title="Length not included in the plan",
        when="The plan does not include sessions of this length.",
        remedy="Choose one of the plan's lengths.",
    ),
    ProblemType(
        slug="modality-not-in-plan",
        status=409,
        title="Modality not included in the plan",
        when="The plan does not include sessions of this modality.",
        remedy="Choose one of the plan's modalities.",
    ),
    ProblemType(
        slug="plan-unknown",
        status=422,
        title="Unknown plan",
        when="There is no plan with this id.",
        remedy="Choose a plan from `GET /v1/plans`.",
    ),
    ProblemType(
        slug="purchase-not-allowed",
        status=409,
        title="Purchase not allowed",
        when="The member's plan does not allow buying single credits, or the member has no coverage.",
        remedy="See `remedy`.",
    ),
    ProblemType(
        slug="invoice-not-payable",
        status=409,
        title="Invoice not payable",
        when="The invoice is paid, void, or not due yet.",
        remedy="You don't need to do anything.",
    ),
    ProblemType(
        slug="payment-refused",
        status=409,
        title="Payment refused by the payment provider",
        when="The payment provider does not accept this payment. `reasons` says why: `amount-too-small`, "
        "`amount-too-large`, `amount-not-divisible`, `currency-not-supported`, or `payment-refused` for anything else.",
        remedy="Don't retry it. Buy a different quantity, or ask support how to pay this charge.",
    ),
    ProblemType(
        slug="credit-already-returned",
        status=409,
        title="Credit already returned",
        when="The credit for this session has already been returned.",
        remedy="You don't need to do anything.",
    ),
)


# Rooms, times and places.
TIMES: Final = (
    ProblemType(
        slug="room-closed",
        status=409,
        title="Room closed",
        when="The room is closed, and sessions can only be booked in an active room.",
        remedy="Restart therapy, or book in the active room.",
    ),
    ProblemType(
        slug="room-inactive",
        status=409,
        title="Room inactive",
        when="The member has been inactive for longer than the policy allows (`inactivity_days`).",
        remedy="Restart therapy with the same provider, or get matched with a new one.",
    ),
    ProblemType(
        slug="restart-not-allowed",
        status=409,
        title="Restart not allowed",
        when="Therapy cannot be restarted in this room. `reasons` says why.",
        remedy="Do what `remedy` suggests.",
    ),
    ProblemType(
        slug="member-busy",
        status=409,
        title="Member not available",
        when="The member is not available at that time.",
        remedy="Choose another time.",
    ),
    ProblemType(
        slug="slot-taken",
        status=409,
        title="Slot taken",
        when="Another session, or the buffer around it, overlaps that time.",
        remedy="Choose another slot.",
    ),
    ProblemType(
        slug="slot-not-offered",
        status=409,
        title="Slot not offered",
        when="The provider does not offer sessions of this length and modality at that time.",
        remedy="Choose a slot from `GET /v1/providers/{id}/slots`.",
    ),
    ProblemType(
        slug="venue-taken",
        status=409,
        title="Venue taken",
        when="Another session uses the venue at that time.",
        remedy="Choose another venue or time.",
    ),
    ProblemType(
        slug="provider-unavailable",
        status=409,
        title="Provider not available",
        when="The provider is not offering any times right now.",
        remedy="Message the provider.",
    ),
    ProblemType(
        slug="waitlist-full",
        status=409,
        title="Waitlist full",
        when="This room already has five open entries on the waitlist.",
        remedy="Remove an entry, or wait until one is no longer open.",
    ),
    ProblemType(
        slug="sessions-in-time-off",
        status=409,
        title="Sessions during the time off",
        when="There are sessions during the time off, and the request does not say what to do with them.",
        remedy=(
            "Review `sessions`, which lists the first 100 of `session_count`. Then repeat the request with "
            '`sessions: "keep"` or `sessions: "cancel"`.'
        ),
    ),
    ProblemType(
        slug="temporary-interruption",
        status=409,
        title="Temporary interruption",
        when="The booking could not be completed in time. Nothing was charged or reserved.",
        remedy="Try again later.",
    ),
)


# What can be done with a session, by whom and when.
SESSIONS: Final = (
    ProblemType(
        slug="forfeit-not-accepted",
        status=409,
        title="Forfeit not accepted",
        when="The notice is shorter than the policy requires, so the credit would be forfeited. The request does not accept that.",
        remedy="Read `policy`. To go ahead, repeat the request with `accept_forfeit: true`.",
    ),
    ProblemType(
        slug="member-must-be-told",
        status=409,
        title="Member must be notified",
        when="The old or the new start is within the notice period of the policy, so the member must be notified.",
        remedy="Repeat the request without `notify_member: false`.",
    ),
    ProblemType(
        slug="too-early-to-join",
        status=409,
        title="Too early to join",
        when="Joining is not open yet. The policy says how long before the start it opens (`join_minutes`).",
        remedy="Try again at `opens_at`.",
    ),
    ProblemType(
        slug="join-link-invalid",
        status=400,
        title="Invalid join link",
        when="The token in the join link is forged, expired or revoked.",
        remedy="Ask the person to join again (`POST /v1/sessions/{id}/join`), which returns a new link.",
    ),
    ProblemType(
        slug="not-confirmed",
        status=409,
        title="Session not confirmed",
        when="The session is not confirmed.",
        remedy="Wait for the provider to confirm.",
    ),
    ProblemType(
        slug="session-over",
        status=409,
        title="Session over",
        when="The session has ended and can no longer be changed.",
        remedy="Book a new session.",
    ),
    ProblemType(
        slug="no-show-not-possible",
        status=409,
        title="No-show not possible",
        when="A provider can mark a no-show once the grace period of the policy (`grace_minutes`) is over, while in the room, and "
        "only if the member has not been present since the start.",
        remedy="Join the session and wait until the grace period is over.",
    ),
    ProblemType(
        slug="move-pending",
        status=409,
        title="Change of time pending",
        when="Another change to this session's time is still being decided.",
        remedy="Try again after `Retry-After`.",
    ),
    ProblemType(
        slug="no-outcome",
        status=409,
        title="No outcome",
        when="The session does not have an outcome that can be disputed or corrected.",
        remedy="Wait until the session has ended.",
    ),
    ProblemType(
        slug="outcome-not-asked",
        status=409,
        title="Outcome not requested",
        when="Providers report the outcome only of in-person sessions that have ended and that nobody checked in to.",
        remedy="Wait until the session has ended, or dispute the outcome if it is wrong.",
    ),
    ProblemType(
        slug="check-in-code-wrong",
        status=409,
        title="Wrong check-in code",
        when="The code does not match the one currently shown at the venue.",
        remedy="Read the code at the venue again, or ask the provider to check in for both of you.",
    ),
    ProblemType(
        slug="reminder-not-possible",
        status=409,
        title="Reminder not possible",
        when="The member's plan or preferences do not allow reminders through this channel.",
        remedy="Use the other channel.",
    ),
    ProblemType(
        slug="confirmation-invalid",
        status=409,
        title="Invalid confirmation link",
        when="The link was already used, has expired, belongs to someone else, or was replaced by a newer one.",
        remedy="Change the address again to get a new link.",
    ),
    ProblemType(
        slug="too-soon",
        status=409,
        title="Too soon",
        when="This request sends a message, so it is limited to one every so often. The last one was a short while ago.",
        remedy="Try again after `Retry-After`, or at `next_at`.",
    ),
    ProblemType(
        slug="conflict-of-interest",
        status=403,
        title="Conflict of interest",
        when="Support may not decide on their own sessions or credits, or approve their own proposals.",
        remedy="Ask a colleague.",
    ),
    ProblemType(
        slug="already-decided",
        status=409,
        title="Already decided",
        when="The proposal has already been approved or rejected.",
        remedy="Read it again. If more is needed, make a new proposal.",
    ),
    ProblemType(
        slug="support-may-not",
        status=403,
        title="Not allowed for support",
        when="Support may only book video sessions for members with health insurance, and may not cancel or reschedule sessions.",
        remedy="Ask the member or the provider.",
    ),
)
