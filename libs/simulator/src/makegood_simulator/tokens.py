"""The access tokens of a schedule's people."""

from __future__ import annotations

from pathlib import Path

from makegood_testkit.identity import Identity

_LIFETIME = 600


class Tokens:
    """`keys` is the address of the published keys, for JWKS_URL."""

    def __init__(self, folder: Path) -> None:
        self._identity = Identity(folder / "jwks.json")
        self._made: dict[tuple[str, str], tuple[float, str]] = {}
        self.keys = str(self._identity.path)

    def of(self, role: str, subject: str, now: float) -> str:
        """A token that is valid at `now`, in seconds since 1970."""
        until, token = self._made.get((role, subject), (0.0, ""))
        if not now < until < now + _LIFETIME:
            until = now + _LIFETIME / 2
            token = self._identity.token(subject, role, iat=int(now), exp=int(now) + _LIFETIME)
            self._made[role, subject] = (until, token)
        return token
