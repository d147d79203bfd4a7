"""Problem types (RFC 9457): every slug that an answer can carry, with the page the gateway serves for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class ProblemType:
    """One problem type. `when`: what happened; `remedy`: what the caller can do."""

    slug: str
    status: int
    title: str
    when: str
    remedy: str

    @property
    def uri(self) -> str:
        return f"/problems/{self.slug}"


_ALL: Final = (
    ProblemType("validation", 422, "The request does not fit", "A field is missing, unknown, of the wrong type or out of its range; or the body is no JSON (then 400).", "Read `errors`: each names the field and what it takes."),
    ProblemType("unauthenticated", 401, "No valid token", "The access token is missing, expired, for another audience, or not signed by the identity provider.", "Fetch a new token and send it as `Authorization: Bearer`."),
    ProblemType("forbidden", 403, "Not allowed", "Your role never has this operation.", "Ask somebody whose role has it."),
    ProblemType("not-found", 404, "Not found", "There is nothing at this address, or it is not yours.", "Check the id."),
    ProblemType("method-not-allowed", 405, "Method not allowed", "The address exists, but not with this method.", "Use a method that `Allow` lists."),
    ProblemType("payload-too-large", 413, "Body too large", "The request body is larger than the gateway takes (1 MiB).", "Send less."),
    ProblemType("unsupported-media-type", 415, "Unsupported media type", "The body is not `application/json`.", "Send JSON with `Content-Type: application/json`."),
    ProblemType("rate-limited", 429, "Too many requests", "More requests than a person may send: 50 a second, bursts of 100.", "Wait as long as `Retry-After` says."),
    ProblemType("unavailable", 503, "Temporarily unavailable", "Something this answer needs is down or restarting.", "Try again after `Retry-After`; changes are safe to repeat with the same `Idempotency-Key`."),
    ProblemType("deadline-exceeded", 504, "Took too long", "The answer was not ready before the request's deadline.", "Try again; changes are safe to repeat with the same `Idempotency-Key`."),
    ProblemType("idempotency-key-required", 400, "Idempotency-Key required", "This change must not happen twice, so it needs a key.", "Send `Idempotency-Key` with a fresh random value for each new intent, and the same one when you repeat."),
    ProblemType("idempotency-key-reused", 422, "Idempotency-Key reused", "The key was used before with a different request.", "Use a fresh key for a new intent."),
    ProblemType("idempotency-in-flight", 409, "Still in flight", "The first request with this key is not finished.", "Repeat after `Retry-After`; you will get the first one's answer."),
    ProblemType("version-required", 428, "If-Match required", "This change needs to know which version it changes.", "Read the entity and send its `ETag` as `If-Match`."),
    ProblemType("version-mismatch", 412, "Changed in the meantime", "The entity is not at the version in `If-Match`.", "Read it again and decide anew."),
    ProblemType("no-session-credits", 409, "No session credits available", "No credit is left for a session of this length on that day.", "Where `purchasable` is true a credit can be bought; else wait for the next period."),
    ProblemType("coverage-ended", 409, "Coverage has ended", "The member's coverage does not reach the session's day.", "Renew the coverage."),
    ProblemType("outstanding-charges", 409, "Outstanding charges", "An invoice is overdue.", "Pay the balance."),
    ProblemType("plan-excludes-live-sessions", 409, "The plan has no live sessions", "The member's plan is for messaging only.", "Change the plan."),
    ProblemType("length-not-in-plan", 409, "Length not in the plan", "The plan does not include sessions of this length.", "Choose one of the plan's lengths."),
    ProblemType("modality-not-in-plan", 409, "Modality not in the plan", "The plan does not include sessions of this kind.", "Choose one of the plan's modalities."),
    ProblemType("plan-unknown", 422, "Unknown plan", "There is no plan of this id.", "Choose one of `GET /v1/plans`."),
    ProblemType("room-closed", 409, "The room is closed", "Bookings need an active room.", "Restart therapy, or book in the active room."),
    ProblemType("room-inactive", 409, "The room is inactive", "The member was not active for more than 25 days.", "Restart therapy with the provider, or match with a new one."),
    ProblemType("member-busy", 409, "The member is busy", "The member has another session at that time.", "Choose another time."),
    ProblemType("slot-taken", 409, "The slot is taken", "Another session or its buffers take that time.", "Choose another slot."),
    ProblemType("slot-not-offered", 409, "The slot is not offered", "The provider does not offer a session of this length and kind at that time.", "Choose one of the slots."),
    ProblemType("venue-taken", 409, "The venue is taken", "Another session takes the venue at that time.", "Choose another venue or time."),
    ProblemType("forfeit-not-accepted", 409, "The credit would be forfeited", "With less notice than the policy asks, the credit is lost, and the request did not accept that.", "Read `policy`; repeat with `accept_forfeit: true` if you accept."),
    ProblemType("too-early-to-join", 409, "Too early to join", "Joining opens 10 minutes before the start.", "Come back at `opens_at`."),
    ProblemType("not-confirmed", 409, "Not confirmed", "The session is not confirmed.", "Wait for the provider to confirm."),
    ProblemType("session-over", 409, "The session is over", "The session has ended, so it cannot be changed any more.", "Book a new one."),
    ProblemType("no-show-not-possible", 409, "No-show not possible", "A no-show can be marked after the start, and only if the member never joined.", "Wait for the start, or complete the session."),
    ProblemType("support-may-not", 403, "Support may not", "Support books only video sessions for members with health insurance, and never cancels or moves one.", "Ask the member or the provider."),
    ProblemType("restart-not-allowed", 409, "Restart not allowed", "Therapy cannot be restarted here on this plan.", "See `remedy`."),
    ProblemType("credit-already-returned", 409, "Credit already returned", "The credit of this session came back already.", "Nothing to do."),
    ProblemType("provider-unavailable", 409, "The provider is not available", "The provider offers no times now.", "Message the provider."),
    ProblemType("temporary-interruption", 409, "Temporary interruption", "The booking could not be finished in time; nothing was taken.", "Try again later."),
)  # fmt: skip

PROBLEMS: Final[dict[str, ProblemType]] = {problem.slug: problem for problem in _ALL}
