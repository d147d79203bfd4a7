"""Request and answer models of cancelling (CANC-1, CANC-2)."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from makegood_chassis.http.models import Flag, RequestModel, example
from pydantic import Field

from makegood_booking.api.models import SESSION, SessionView
from makegood_booking.domain.actions import Reader
from makegood_booking.domain.session import Session


class CancelRequest(RequestModel):
    """How to cancel (CANC-1, CANC-2)."""

    model_config = example(remark="I am ill.", share_remark=True, accept_forfeit=True)

    remark: Annotated[
        str | None,
        Field(max_length=2000, description="For the other party, in the session's history; nobody else reads it."),
    ] = None
    share_remark: Annotated[
        Flag, Field(description="The other party reads the remark in the message, too (e-mail, chat). Needs `remark`.")
    ] = False
    accept_forfeit: Annotated[
        Flag, Field(description="The member accepts that the credit is lost (less notice than asked).")
    ] = False


class CancelledView(SessionView):
    """A session that was cancelled."""

    model_config = example(**SESSION, remark_shared=False)

    remark_shared: Annotated[
        bool | None,
        Field(
            description="Whether the message to the other party carries the remark. Also false, although `share_remark` was asked "
            "for, as long as no key of yours is known, such as before you said how you are reached; the history has it. Missing "
            "where the first answer was lost and a repeat reads the session anew."
        ),
    ] = None

    @classmethod
    def told(cls, session: Session, reader: Reader, now: datetime, *, remark_shared: bool) -> CancelledView:
        """As the reader sees it now."""
        shown = SessionView.of(session, reader, now)
        return cls.model_construct(**shown.__dict__, remark_shared=remark_shared)
