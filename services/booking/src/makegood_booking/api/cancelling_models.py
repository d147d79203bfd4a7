"""Request and response bodies of cancelling (CANC-1, CANC-2)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from makegood_chassis.http.models import Flag, RequestModel, example
from makegood_chassis.http.structs import struct_of
from msgspec.structs import asdict
from pydantic import Field

from makegood_booking.api.models import SESSION, SessionView
from makegood_booking.domain.actions import Reader
from makegood_booking.domain.session import Session


class CancelRequest(RequestModel):
    """How to cancel the session."""

    model_config = example(remark="I am ill.", share_remark=True, accept_forfeit=True)

    remark: Annotated[
        str | None,
        Field(
            max_length=2000,
            description="A remark for the other party, in the session's history. No one else can read it.",
        ),
    ] = None
    share_remark: Annotated[
        Flag, Field(description="Also include the remark in the message to the other party. Requires `remark`.")
    ] = False
    accept_forfeit: Annotated[
        Flag, Field(description="The member accepts that a late cancellation forfeits the credit.")
    ] = False


class CancelledView(SessionView):
    """The cancelled session."""

    model_config = example(**SESSION, remark_shared=False)

    remark_shared: Annotated[
        bool | None,
        Field(
            description="Whether the message to the other party includes the remark. Also false with `share_remark` if the platform "
            "has no key of yours yet, for example because you have no contact details. The history has the remark in any case. "
            "Missing if the first answer was lost and a repeated request reads the session again."
        ),
    ] = None

    @classmethod
    def of_cancelled(cls, session: Session, reader: Reader, now: datetime, *, remark_shared: bool) -> CancelledView:
        """The view that the reader sees now."""
        view: Any = SessionView.of(session, reader, now)
        return _Cancelled(**asdict(view), remark_shared=remark_shared)


_Cancelled: Final = struct_of(CancelledView)
