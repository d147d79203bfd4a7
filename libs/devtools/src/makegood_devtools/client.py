"""Talks to the platform as a client app would: through the gateway, with a person's token."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from makegood_devtools import keys
from makegood_devtools.errors import UserError


class Refused(UserError):
    """The platform answered with a problem (RFC 9457)."""

    def __init__(self, method: str, path: str, response: httpx.Response) -> None:
        try:
            problem: dict[str, Any] = response.json()
        except ValueError:
            problem = {"detail": response.text[:200]}
        self.status = response.status_code
        self.problem = problem
        slug = str(problem.get("type", "")).rsplit("/", 1)[-1] or str(response.status_code)
        self.slug = slug
        super().__init__(f"{method} {path}: {response.status_code} {slug}: {problem.get('detail', '')}")


@dataclass(frozen=True)
class Answer:
    """A successful answer."""

    status: int
    body: Any
    headers: httpx.Headers

    def __getitem__(self, name: str) -> Any:
        return self.body[name]


def access_reason(role: str, reason: str = "support_request") -> dict[str, str]:
    """The header with which support and ops say why they access a person's data (SEC-5). Others need none."""
    return {"X-Access-Reason": reason} if role in ("support", "ops") else {}


@dataclass
class Person:
    """A person who is signed in. `reason`: the access reason that support and ops send."""

    http: httpx.AsyncClient
    login: keys.Login
    reason: str = "support_request"

    @property
    def role(self) -> str:
        return self.login.role

    @property
    def subject(self) -> str:
        return self.login.subject

    @property
    def token(self) -> str:
        """A valid access token, renewed after half of its lifetime."""
        return self.login.token

    async def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        wait: float | None = None,
        version: int | None = None,
        params: dict[str, Any] | None = None,
    ) -> httpx.Response:
        """The raw answer, whatever its status. `key`: Idempotency-Key; `wait`: seconds of `Prefer: wait`; `version`:
        If-Match."""
        headers = {"Authorization": f"Bearer {self.token}", **access_reason(self.role, self.reason)}
        if key is not None:
            headers["Idempotency-Key"] = key
        if wait is not None:
            headers["Prefer"] = f"wait={wait:g}"
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        return await self.http.request(method, path, json=body, headers=headers, params=params)

    async def _good(self, method: str, path: str, body: Any = None, **options: Any) -> Answer:
        response = await self.send(method, path, body, **options)
        if response.is_error:
            raise Refused(method, path, response)
        return Answer(response.status_code, response.json() if response.content else None, response.headers)

    async def get(self, path: str, **params: Any) -> Answer:
        return await self._good("GET", path, params=params or None)

    async def put(self, path: str, body: Any, **options: Any) -> Answer:
        return await self._good("PUT", path, body, **options)

    async def post(self, path: str, body: Any = None, *, key: str | None = None, **options: Any) -> Answer:
        """POST with a new Idempotency-Key, unless one is given. Raises Refused if the answer is not a success."""
        return await self._good("POST", path, {} if body is None else body, key=key or str(uuid.uuid4()), **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self._good("DELETE", path, **options)


class Gateway:
    """The platform behind its gateway. An async context manager; `person` makes people with development tokens."""

    def __init__(self, base_url: str, identity: Path, *, timeout: float = 40, connections: int = 64) -> None:
        self.base_url = base_url
        self._identity = identity
        limits = httpx.Limits(max_connections=connections, max_keepalive_connections=connections)
        # The platform of this machine is never behind a proxy.
        self.http = httpx.AsyncClient(base_url=base_url, timeout=timeout, limits=limits, trust_env=False)

    async def __aenter__(self) -> Gateway:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.http.aclose()

    def login(self, role: str, subject: str) -> keys.Login:
        return keys.Login(self._identity, role, subject)

    def person(self, role: str, subject: str) -> Person:
        return Person(self.http, self.login(role, subject))
