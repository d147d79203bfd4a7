"""Join links: short-lived proof that the bearer is a party of a session that can be joined now (JOIN-1).

A link is made when a party joins. It is never stored: not in the database, a stored answer or a log. Its token is in
the URL's fragment, which browsers do not send to servers. The video room sends it to booking, and only booking can read
it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, get_args

import jwt
from makegood_contracts.events import Party
from makegood_contracts.ids import new_id

from makegood_booking.domain.session import Session

ISSUER: Final = "makegood-booking"
AUDIENCE: Final = "makegood-join"
MAXIMUM_TOKEN: Final = 1024
_ALGORITHM: Final = "HS256"
_CLAIMS: Final = ("iss", "aud", "sub", "session_id", "party", "iat", "nbf", "exp", "jti")


class InvalidLink(Exception):
    """The token is not valid. The message says why, without quoting it."""


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What a link says. `issued_at`: seconds of real time since 1970."""

    session_id: str
    person_id: str
    party: Party
    jti: str
    issued_at: float


class JoinLinks:
    """Makes and reads links. `key`: 32 bytes or more that all processes of booking share. `start`: the client app's
    address. `now`: seconds of real time since 1970.
    """

    def __init__(self, key: bytes, start: str, *, now: Callable[[], float] = time.time) -> None:
        self._key = key
        self._start = start
        self._now = now

    def make(self, session: Session, party: Party) -> str:
        """The party's link, valid from when joining opens until the session's end.

        `nbf` and `exp` are product time; `iat` is real time, as for access tokens.
        """
        booked = session.booked
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": booked.member_id if party == "member" else booked.provider_id,
            "session_id": session.id,
            "party": party,
            "iat": self._now(),
            "nbf": int(session.policy.join_opens(booked.starts_at).timestamp()),
            "exp": int(booked.ends_at.timestamp()),
            "jti": new_id(),
        }
        return f"{self._start}/join/{session.id}#{jwt.encode(claims, self._key, algorithm=_ALGORITHM)}"

    def read(self, token: str, now: datetime) -> JoinToken:
        """The content of the link's token, if it is valid at `now` (product time). Raises InvalidLink."""
        try:
            claims = jwt.decode(
                token,
                self._key,
                algorithms=[_ALGORITHM],
                audience=AUDIENCE,
                issuer=ISSUER,
                # Its times are in product time, which development can change.
                options={"require": list(_CLAIMS), "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidLink("it was not made here") from error
        if claims["party"] not in get_args(Party):
            raise InvalidLink("it was not made here")
        if now.timestamp() >= claims["exp"]:
            raise InvalidLink("it has expired; join again")
        if now.timestamp() < claims["nbf"]:
            raise InvalidLink("it is not valid yet")
        return JoinToken(
            claims["session_id"], claims["sub"], claims["party"], jti=claims["jti"], issued_at=float(claims["iat"])
        )
