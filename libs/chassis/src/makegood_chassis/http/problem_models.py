"""What a problem looks like in the OpenAPI documents. It lists every member that any answer has."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from makegood_chassis.http.models import Instant

FieldPlace = Literal["body", "query", "path", "header", "cookie"]


class FieldError(BaseModel):
    """An invalid field."""

    place: Annotated[FieldPlace, Field(alias="in")]
    pointer: Annotated[str, Field(description="A JSON pointer (RFC 6901).", examples=["#/weekly/0/day"])]
    detail: str


class ProblemRemedy(BaseModel):
    """Something that helps."""

    action: Annotated[str, Field(examples=["restart_therapy"])]
    href: Annotated[str | None, Field(description="Where to do it in this API. Missing if it is done elsewhere.")] = (
        None
    )


class ProblemReason(BaseModel):
    """A reason why a rule refuses the request."""

    code: Annotated[str, Field(examples=["slot-taken"])]
    detail: str
    remedy: ProblemRemedy | None = None


class ProblemPolicy(BaseModel):
    """What cancelling would mean now, as in `GET /v1/sessions/{id}/policy`."""

    cancellable: bool
    free_until: Instant
    forfeits_now: bool
    notice_hours: int
    text: str


class ProblemSession(BaseModel):
    """A session that the request would affect."""

    session_id: str
    starts_at: Instant
    ends_at: Instant


class ProblemDocument(BaseModel):
    """An error, in the format of RFC 9457. Each `type` is the address of a page that says what happened and what to do.

    Members may be added. Ignore those that you don't know.
    """

    model_config = ConfigDict(title="Problem")

    type: Annotated[
        str,
        Field(description="The kind of error. Base decisions on this member only.", examples=["/problems/not-found"]),
    ]
    title: str
    status: int
    detail: str
    instance: Annotated[str | None, Field(description="The id of the request, `urn:uuid:…`. Set by the gateway.")] = (
        None
    )
    errors: Annotated[list[FieldError] | None, Field(description="With `validation`: the invalid fields.")] = None
    reasons: Annotated[
        list[ProblemReason] | None, Field(description="If a rule refuses the request: all reasons, one or more.")
    ] = None
    session_id: Annotated[str | None, Field(description="For a refused booking: the `rejected` session.")] = None
    purchasable: Annotated[bool | None, Field(description="If a credit is missing: whether one can be bought.")] = None
    message: Annotated[
        str | None, Field(description="For a refused move: why, in the words of `GET /v1/providers/{id}/availability`.")
    ] = None
    policy: Annotated[
        ProblemPolicy | None, Field(description="With `forfeit-not-accepted`: the policy that applies.")
    ] = None
    opens_at: Annotated[Instant | None, Field(description="With `too-early-to-join`: when joining opens.")] = None
    next_at: Annotated[Instant | None, Field(description="With `too-soon`: when you can try again.")] = None
    session_count: Annotated[
        int | None,
        Field(
            description="With `sessions-in-time-off`: how many sessions are in it. With `forfeit-not-accepted`: how many would be forfeited."
        ),
    ] = None
    sessions: Annotated[list[ProblemSession] | None, Field(description="The first 100 of those sessions.")] = None


def problem_schemas() -> dict[str, Any]:
    """The component `Problem` and those that it uses. Optional members are left out, never null."""
    schema = ProblemDocument.model_json_schema(
        mode="validation", ref_template="#/components/schemas/{model}", by_alias=True
    )
    found: dict[str, Any] = schema.pop("$defs")
    found["Problem"] = schema
    for each in found.values():
        for member in each["properties"].values():
            member.pop("default", None)
            if "anyOf" in member:
                member.update(next(choice for choice in member.pop("anyOf") if choice != {"type": "null"}))
    return found


MEMBERS: Final = frozenset(ProblemDocument.model_fields)
"""Names that a problem's members may have."""
