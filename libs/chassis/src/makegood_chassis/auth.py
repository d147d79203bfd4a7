"""Access tokens: JWTs that the identity provider signed, checked against its published keys (JWKS).

Only RS256 and ES256 signatures by a published key count. Nothing else in a request identifies its caller.
Tokens live in real time, whatever the product's clock says.
"""

from __future__ import annotations

import math
import re
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

import jwt
from makegood_contracts.ids import is_person_id

from makegood_chassis import real_time
from makegood_chassis.keys import Keys, TokenKeysUnavailable, UnknownKey
from makegood_chassis.revocation import Revocations

__all__ = ["Authenticator", "Caller", "InvalidToken", "Proof", "Role", "TokenKeysUnavailable"]

Role = Literal["member", "provider", "support", "ops"]

ALGORITHMS: Final = ("RS256", "ES256")
LEEWAY: Final = 5.0
"""Seconds that the clocks of issuer and service may differ."""
MAXIMUM_TOKEN: Final = 8192
REMEMBERED: Final = 10_000
"""Verified tokens that are kept until they expire, most recently used ones first."""

_TIMES_APART: Final[Any] = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
"""The library compares times with the clock of this machine, which may jump. They are checked here."""
_LATEST: Final = 1e12

_JTI = re.compile(r"[\x21-\x7e]{1,256}")
_ROLES: Final[frozenset[str]] = frozenset(get_args(Role))


@dataclass(frozen=True, slots=True)
class Proof:
    """What the validity of a caller's token depends on. `issued_at`: seconds since 1970, if the token says so."""

    kid: str
    key: jwt.PyJWK
    jti: str
    issued_at: float | None


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller, as the token names them."""

    subject: str
    roles: frozenset[Role]
    until: float = field(default=math.inf, compare=False)
    """When the token expires, in seconds of real time. Streams end with it."""
    proof: Proof | None = field(default=None, compare=False, repr=False)


class InvalidToken(Exception):
    """The token must not be trusted. The message says why, without quoting the token."""


class Authenticator:
    """Identifies the caller by the access token alone.

    `dated`: tokens must say when they were issued. Without `iat` a token's lifetime is unknown, so a long-lived one could
    outlast its revocation.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str,
        audience: str,
        longest: float,
        dated: bool = False,
        revocations: Revocations | None = None,
    ) -> None:
        self.keys = keys
        self._issuer = issuer
        self._audience = audience
        self._longest = longest
        self._required = ["exp", "iss", "aud", "sub", "jti", *(["iat"] if dated else [])]
        self._revocations = revocations or Revocations(longest)
        self._remembered: OrderedDict[str, Caller] = OrderedDict()

    def remembered(self, token: str) -> Caller | None:
        """The caller of a token that was verified before and is still valid. It costs about a microsecond."""
        caller = self._remembered.get(token)
        if caller is None:
            return None
        if caller.until <= real_time.now() or not self.still_good(caller):
            del self._remembered[token]
            return None
        self._remembered.move_to_end(token)
        return caller

    def still_good(self, caller: Caller) -> bool:
        """Whether the token's key is still published, as of the last fetch, and the token is not revoked."""
        proof = caller.proof
        if proof is None:
            return True
        if self.keys.known(proof.kid) is not proof.key:
            return False
        return not self._revocations.refuses(caller.subject, proof.jti, proof.issued_at)

    async def verify(self, token: str) -> Caller:
        """The token's caller. Raises InvalidToken, or TokenKeysUnavailable if its key cannot be fetched."""
        caller = self.remembered(token)
        if caller is not None:
            return caller
        kid, key = await self._key_of(token)
        try:
            claims = jwt.decode(
                token,
                key,
                algorithms=[str(key.algorithm_name)],
                audience=self._audience,
                issuer=self._issuer,
                options=_TIMES_APART | {"require": self._required},
            )
        except jwt.PyJWTError as error:
            raise InvalidToken(_advice(error)) from error
        issued_at = _check_lifetime(claims, self._longest)
        if not _JTI.fullmatch(claims["jti"]):
            raise InvalidToken("its `jti` is not 1 to 256 visible ASCII characters")
        caller = _caller(claims, Proof(kid, key, claims["jti"], issued_at))
        if self._revocations.refuses(caller.subject, claims["jti"], issued_at):
            raise InvalidToken("it was revoked; sign in again")
        self._remembered[token] = caller
        if len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return caller

    async def _key_of(self, token: str) -> tuple[str, jwt.PyJWK]:
        if len(token) > MAXIMUM_TOKEN:
            raise InvalidToken("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError) as error:
            raise InvalidToken("it is not a signed JWT") from error
        if header.get("alg") not in ALGORITHMS:
            raise InvalidToken("its signature is neither RS256 nor ES256")
        if "crit" in header or header.get("b64", True) is not True:
            raise InvalidToken("it uses extensions that are not supported")
        kid = header.get("kid")
        if not isinstance(kid, str) or not 1 <= len(kid) <= 256:
            raise InvalidToken("it names no key (`kid`)")
        try:
            key = self.keys.known(kid) or await self.keys.find(kid)
        except UnknownKey as error:
            raise InvalidToken("no published key has the token's `kid`") from error
        if header["alg"] != key.algorithm_name:
            raise InvalidToken("its algorithm does not match its key")
        return kid, key


def _check_lifetime(claims: dict[str, Any], longest: float) -> float | None:
    """Refuses a token that is not valid now, and a lifetime that is too long or contradicts itself. Returns `iat`, if there is one. Accepts only numbers
    as in RFC 7519 §2.
    """
    expires, issued_at, valid_from = (_moment(claims, name) for name in ("exp", "iat", "nbf"))
    now = real_time.now()
    if expires is None or expires <= now - LEEWAY:
        raise InvalidToken("it has expired")
    if max(issued_at or 0, valid_from or 0) > now + LEEWAY:
        raise InvalidToken("it is not valid yet")
    if expires - now > longest + LEEWAY:
        raise InvalidToken(f"its lifetime is more than {longest:g} s")
    if issued_at is None:
        return None
    if issued_at >= expires:
        raise InvalidToken("its `iat` is not before its `exp`")
    if expires - issued_at > longest:
        raise InvalidToken(f"its lifetime is more than {longest:g} s")
    return issued_at


def _moment(claims: dict[str, Any], name: str) -> float | None:
    """A time in seconds since 1970, if the token has it. Raises InvalidToken if it is none."""
    if name not in claims:
        return None
    value = claims[name]
    if type(value) not in (int, float) or not abs(value) < _LATEST:  # NaN is not
        raise InvalidToken(f"its `{name}` is not a number")
    return float(value)


def _caller(claims: dict[str, Any], proof: Proof) -> Caller:
    subject, roles = claims["sub"], claims.get("roles")
    if not isinstance(subject, str) or not is_person_id(subject):
        raise InvalidToken("its `sub` is not a valid person id")
    if not isinstance(roles, list):
        raise InvalidToken("its `roles` is not a list")
    known: Any = frozenset(role for role in roles if isinstance(role, str) and role in _ROLES)
    return Caller(subject, known, float(claims["exp"]) + LEEWAY, proof)


def _advice(error: jwt.PyJWTError) -> str:
    match error:
        case jwt.InvalidAudienceError():
            return "it was issued for another audience"
        case jwt.InvalidIssuerError():
            return "it was issued by another issuer"
        case jwt.MissingRequiredClaimError():
            return "a claim is missing"
        case jwt.InvalidSignatureError():
            return "its signature does not match"
        case _:
            return "it cannot be read"
