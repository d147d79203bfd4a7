"""Ops end a person's sign-ins: tokens that were issued are refused everywhere within seconds (SEC-2)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Response
from makegood_chassis.http.access_log import Log
from makegood_chassis.http.models import Instant, RequestModel, View, example
from makegood_chassis.http.mutations import UnversionedMutation
from makegood_chassis.http.pages import Cursor, Limit, Page, page
from makegood_chassis.http.rights import Access, operation
from pydantic import Field

from makegood_notifications.api.parameters import DependenciesOf, PersonId, id_before
from makegood_notifications.handlers import commands
from makegood_notifications.store import revocations

router = APIRouter(tags=["sign-in"])


class RevocationRequest(RequestModel):
    """The tokens to refuse from now on."""

    model_config = example(jti=None, reason="lost telephone, ticket 4711")

    jti: str | None = Field(
        None,
        pattern=r"^[\x21-\x7e]{1,256}$",
        description="The `jti` of the one token to revoke. Without it, all of the person's tokens are revoked.",
    )
    reason: str = Field(min_length=1, max_length=200, description="Why the tokens are revoked. Only ops can read it.")


class RevocationView(View):
    """A person's sessions that were ended, or one of them."""

    model_config = example(
        id="019ab0c9-0c3d-7f52-b1d7-1e9f4c2a6d80",
        person_id="anna",
        jti=None,
        reason="lost telephone, ticket 4711",
        made_by="ops-2",
        revoked_at="2026-11-23T09:00:00Z",
    )

    id: str
    person_id: str
    jti: str | None
    reason: str
    made_by: str
    revoked_at: Instant


@router.post(
    "/v1/people/{person_id}/revocations",
    status_code=201,
    response_model=RevocationView,
    summary="End a person's sessions",
)
async def revoke_tokens(
    person_id: PersonId,
    body: RevocationRequest,
    access: Annotated[Access, Depends(operation("person.revoke"))],
    mutation: UnversionedMutation,
    log: Log,
) -> Response:
    """Revokes all access tokens of the person that were issued before now, or one of them by its `jti`. Within ten seconds every
    service refuses them and closes the person's open streams. A token without an issue time (`iat`) is refused until no
    earlier token can still be valid, one hour by default. Tokens issued later are accepted. To keep somebody out, also lock
    the account at the identity provider."""
    async with mutation.unit() as unit:
        made = await commands.revoke_tokens(unit, person_id, body.jti, body.reason, access.caller.subject)
        await log.record(unit, access, None, person_id, entity=f"revocation:{made.id}")
        return mutation.answer(201, RevocationView.model_validate(made), personal_of=person_id)


@router.get("/v1/people/{person_id}/revocations", summary="List when a person's sessions were ended")
async def list_revocations(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.revocations"))],
    log: Log,
    dependencies: DependenciesOf,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RevocationView]:
    """Lists when the person's sessions were ended, newest first, with who did it and why."""
    before = id_before(cursor)
    async with dependencies.database.reading() as queries:
        rows = await revocations.listed(queries, person_id, before, limit + 1)
        await log.record(queries, access, None, person_id)
    items, following = page(rows, limit, RevocationView.model_validate, lambda row: (row["id"],))
    return Page(items=items, next_cursor=following)
