"""A session as a FHIR R4 Appointment. docs/how-to/client-developers.md explains how the statuses map."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from makegood_chassis.http.models import Instant, View, example
from makegood_chassis.http.openapi import problems
from makegood_chassis.http.preconditions import etag
from makegood_chassis.http.rights import Access, operation
from pydantic import Field

from makegood_booking.api.models import SESSION_ID
from makegood_booking.api.parameters import DependenciesOf, SessionId
from makegood_booking.api.sessions import readable
from makegood_booking.domain.session import AGREED, Session, SessionStatus
from makegood_booking.store.lists import Answered, read_answered

router = APIRouter(tags=["sessions"])

AppointmentStatus = Literal["proposed", "pending", "booked", "arrived", "fulfilled", "cancelled", "noshow"]
ParticipationStatus = Literal["accepted", "declined", "tentative", "needs-action"]
ActorType = Literal["Patient", "Practitioner", "Location"]
STATUS: Final[dict[SessionStatus, AppointmentStatus]] = {
    "requested": "proposed",
    "reserved": "pending",
    "confirmed": "booked",
    "in_session": "arrived",
    "completed": "fulfilled",
    "rejected": "cancelled",
    "declined": "cancelled",
    "expired": "cancelled",
    "cancelled": "cancelled",
    # In FHIR, `noshow` means that the patient did not come. A session that the provider missed is cancelled by the
    # provider.
    "provider_missed": "cancelled",
    "member_no_show": "noshow",
}
PERSON: Final = "urn:makegood:person"
VENUE: Final = "urn:makegood:venue"
_REASONS: Final = "http://terminology.hl7.org/CodeSystem/appointment-cancellation-reason"
_NAMES: Final = {"pat": "Patient", "prov": "Provider", "other": "Other"}
_WHOSE: Final = {"member": "pat", "provider": "prov"}
_PROVIDERS: Final = frozenset({"declined", "expired", "provider_missed"})


class Identifier(View):
    system: str
    value: str


class Reference(View):
    type: ActorType
    identifier: Identifier


class Participant(View):
    actor: Reference
    required: Literal["required"] = "required"
    status: ParticipationStatus


class Meta(View):
    versionId: str


class Coding(View):
    system: str
    code: str
    display: str


class CodeableConcept(View):
    coding: list[Coding] | None = None
    text: str


class AppointmentView(View):
    """A FHIR R4 Appointment. People are logical references to the `sub` of their tokens."""

    has_etag = True
    model_config = example(
        resourceType="Appointment",
        id=SESSION_ID,
        meta={"versionId": "3"},
        status="booked",
        appointmentType={"text": "video"},
        start="2026-11-24T09:00:00Z",
        end="2026-11-24T09:30:00Z",
        minutesDuration=30,
        created="2026-11-23T08:00:00Z",
        participant=[
            {
                "actor": {"type": "Patient", "identifier": {"system": PERSON, "value": "anna"}},
                "required": "required",
                "status": "accepted",
            },
            {
                "actor": {"type": "Practitioner", "identifier": {"system": PERSON, "value": "dr-lee"}},
                "required": "required",
                "status": "accepted",
            },
        ],
    )

    resourceType: Literal["Appointment"] = "Appointment"
    id: str
    meta: Meta
    status: AppointmentStatus
    cancelationReason: Annotated[CodeableConcept | None, Field(description="`text` is the session's status.")] = None
    appointmentType: Annotated[CodeableConcept, Field(description="The modality.")]
    start: Instant
    end: Instant
    minutesDuration: int
    created: Instant
    participant: list[Participant]

    @classmethod
    def of(cls, session: Session, answered: Answered) -> AppointmentView:
        """The appointment of the session. `answered`: how the parties responded."""
        booked = session.booked
        participants = [
            _participant("Patient", PERSON, booked.member_id, _member_status(answered)),
            _participant("Practitioner", PERSON, booked.provider_id, _provider_status(session, answered)),
        ]
        if booked.venue_id is not None:
            participants.append(_participant("Location", VENUE, booked.venue_id, "accepted"))
        return cls(
            id=session.id,
            meta=Meta(versionId=str(session.version)),
            status=STATUS[session.status],
            cancelationReason=_reason(session, answered.canceller),
            appointmentType=CodeableConcept(text=booked.modality),
            start=booked.starts_at,
            end=booked.ends_at,
            minutesDuration=booked.length_minutes,
            created=booked.requested_at,
            participant=participants,
        )


class FhirResponse(JSONResponse):
    """JSON that is already encoded. FastAPI puts the model into the OpenAPI document only for JSON answers."""

    media_type = "application/fhir+json"

    def render(self, content: str) -> bytes:
        return content.encode()


@router.get(
    "/v1/sessions/{session_id}/fhir",
    response_model=AppointmentView,
    response_class=FhirResponse,
    responses=problems("not-found"),
)
async def read_appointment(
    session_id: SessionId, access: Annotated[Access, Depends(operation("session.read"))], dependencies: DependenciesOf
) -> Response:
    """Reads a session as a FHIR R4 Appointment, as one of its two parties or support."""
    async with dependencies.database.reading() as queries:
        session = await readable(queries, dependencies, session_id, access)
        answered = await read_answered(queries, session.id) if session.over else Answered()
    content = AppointmentView.of(session, answered).model_dump_json(exclude_none=True)
    return FhirResponse(content, headers={"ETag": etag(session.version)})


def _participant(
    kind: ActorType,
    system: str,
    value: str,
    status: ParticipationStatus,
) -> Participant:
    return Participant(actor=Reference(type=kind, identifier=Identifier(system=system, value=value)), status=status)


def _member_status(answered: Answered) -> ParticipationStatus:
    return "declined" if answered.canceller == "member" else "accepted"


def _provider_status(session: Session, answered: Answered) -> ParticipationStatus:
    """Nobody needs to respond to a session that is over: a provider who never confirmed stays `tentative`."""
    if session.status == "declined" or answered.canceller == "provider":
        return "declined"
    if session.status in AGREED or answered.confirmed:
        return "accepted"
    return "tentative" if session.over else "needs-action"


def _reason(session: Session, canceller: str | None) -> CodeableConcept | None:
    if STATUS[session.status] != "cancelled":
        return None
    code = "prov" if session.status in _PROVIDERS else _WHOSE.get(canceller or "", "other")
    return CodeableConcept(coding=[Coding(system=_REASONS, code=code, display=_NAMES[code])], text=session.status)
