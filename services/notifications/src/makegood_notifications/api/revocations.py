"""Ops end a person's sessions: tokens that were issued are refused everywhere, within seconds (SEC-2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from makegood_chassis import revocation
from makegood_chassis.http.access_log import AccessLog, access_log
from makegood_chassis.http.models import Instant, RequestModel, View, example
from makegood_chassis.http.mutations import Mutation, mutation
from makegood_chassis.http.pages import Cursor, Id, Limit, Page, decode_cursor, page
from makegood_chassis.http.rights import Access, operation
from makegood_chassis.service import Service
from makegood_contracts.events import TokensRevoked
from makegood_contracts.ids import new_id
from pydantic import Field

from makegood_notifications.api.models import PersonId
from makegood_notifications.store import revocations

router = APIRouter(tags=["sign-in"])


class RevocationRequest(RequestModel):
    """What is refused from now on."""

    model_config = example(jti=None, reason="lost telephone, ticket 4711")

    jti: str | None = Field(
        None,
        pattern=r"^[\x21-\x7e]{1,256}$",
        description="The `jti` of the one token that is refused; without it all that the person has.",
    )
    reason: str = Field(min_length=1, max_length=200, description="Why; shown to ops alone.")


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
    mutation: Annotated[Mutation, Depends(mutation(if_match="none"))],
    log: Annotated[AccessLog, Depends(access_log)],
) -> Response:
    """Refuses the person's access tokens that were issued before now, or one of them by its `jti`. Every service refuses them
    within ten seconds and closes the person's open streams. A token that does not say when it was issued (`iat`) is refused
    until no token of before can be left, an hour by default. A token that is issued later is good: to keep somebody out, lock
    the account at the identity provider as well."""
    async with mutation.unit() as unit:
        # Tokens live in real time, so the product's clock does not count here.
        made = RevocationView(
            id=new_id(),
            person_id=person_id,
            jti=body.jti,
            reason=body.reason,
            made_by=access.caller.subject,
            revoked_at=datetime.now(UTC),
        )
        await revocations.add(unit, made.id, person_id, made.jti, made.reason, made.made_by, made.revoked_at)
        # Here it counts with this commit; the other services hear of it.
        await revocation.keep(unit, [(person_id, made.jti or "", made.revoked_at)])
        await log.record(unit, access, None, person_id, entity=f"revocation:{made.id}")
        unit.publish(
            TokensRevoked(person_id=person_id, jti=made.jti, revoked_at=made.revoked_at),
            sequence=await revocations.next_sequence(unit, person_id),
        )
        return mutation.answer(201, made, personal_of=person_id)


@router.get("/v1/people/{person_id}/revocations", summary="When a person's sessions were ended")
async def list_revocations(
    person_id: PersonId,
    access: Annotated[Access, Depends(operation("person.revocations"))],
    log: Annotated[AccessLog, Depends(access_log)],
    request: Request,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[RevocationView]:
    """Newest first, with who did it and why."""
    before = decode_cursor(cursor, Id)
    service: Service = request.app.state.service
    async with service.database.reading() as queries:
        rows = await revocations.listed(queries, person_id, before[0] if before else None, limit + 1)
        await log.record(queries, access, None, person_id)
    items, following = page(rows, limit, RevocationView.model_validate, lambda row: (row["id"],))
    return Page(items=items, next_cursor=following)
