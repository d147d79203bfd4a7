"""What a problem looks like, for the OpenAPI documents. Every member that some answer carries stands here."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from makegood_chassis.http.models import Instant

FieldPlace = Literal["body", "query", "path", "header", "cookie"]


class FieldError(BaseModel):
    """A field that does not fit."""

    place: Annotated[FieldPlace, Field(alias="in")]
    pointer: Annotated[str, Field(description="A JSON pointer (RFC 6901).", examples=["#/weekly/0/day"])]
    detail: str


class ProblemRemedy(BaseModel):
    """What helps."""

    action: Annotated[str, Field(examples=["restart_therapy"])]
    href: Annotated[str | None, Field(description="Where, in this API; missing where it is done elsewhere.")] = None


class ProblemReason(BaseModel):
    """One of the reasons why a rule forbids it."""

    code: Annotated[str, Field(examples=["slot-taken"])]
    detail: str
    remedy: ProblemRemedy | None = None


class ProblemPolicy(BaseModel):
    """What cancelling means now, in the shape of `GET /v1/sessions/{id}/policy`."""

    cancellable: bool
    free_until: Instant
    forfeits_now: bool
    notice_hours: int
    text: str


class ProblemSession(BaseModel):
    """A session that lies in the time off."""

    session_id: str
    starts_at: Instant
    ends_at: Instant


class Problem(BaseModel):
    """An error in the shape of RFC 9457. Each `type` is a page that says what happened and what to do.

    Members may be added; ignore those that you do not know.
    """

    type: Annotated[str, Field(description="Decide by it alone.", examples=["/problems/not-found"])]
    title: str
    status: int
    detail: str
    instance: Annotated[str | None, Field(description="From the gateway: the request's id, `urn:uuid:…`.")] = None
    errors: Annotated[list[FieldError] | None, Field(description="With `validation`: the fields that do not fit.")] = (
        None
    )
    reasons: Annotated[
        list[ProblemReason] | None, Field(description="Where rules forbid it: every reason that applies, one or more.")
    ] = None
    session_id: Annotated[str | None, Field(description="Of a refused booking: the session, which is `rejected`.")] = (
        None
    )
    purchasable: Annotated[bool | None, Field(description="Where credits refused: whether a credit can be bought.")] = (
        None
    )
    message: Annotated[
        str | None, Field(description="Of a refused move: why, in the words of `GET /v1/providers/{id}/availability`.")
    ] = None
    policy: Annotated[
        ProblemPolicy | None, Field(description="With `forfeit-not-accepted`: what accepting would cost.")
    ] = None
    opens_at: Annotated[Instant | None, Field(description="With `too-early-to-join`: when it can be joined.")] = None
    next_at: Annotated[Instant | None, Field(description="With `too-soon`: when it is possible again.")] = None
    session_count: Annotated[
        int | None,
        Field(
            description="With `sessions-in-time-off`: how many sessions lie in it. With `forfeit-not-accepted`: how many would be forfeited."
        ),
    ] = None
    sessions: Annotated[list[ProblemSession] | None, Field(description="The first hundred of them.")] = None


def problem_schemas() -> dict[str, Any]:
    """The components `Problem` and what it holds. Members that are not always there are simply missing then, never null."""
    schema = Problem.model_json_schema(mode="validation", ref_template="#/components/schemas/{model}", by_alias=True)
    found: dict[str, Any] = schema.pop("$defs")
    found["Problem"] = schema
    for each in found.values():
        for member in each["properties"].values():
            member.pop("default", None)
            if "anyOf" in member:
                member.update(next(choice for choice in member.pop("anyOf") if choice != {"type": "null"}))
    return found


MEMBERS: Final = frozenset(Problem.model_fields)
"""Names that a problem's members may have."""
