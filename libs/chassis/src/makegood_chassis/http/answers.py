"""Answers as plain responses of encoded bytes, without a second validation or copy on the hot path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import Response
from pydantic import BaseModel

from makegood_chassis.http.preconditions import etag

AnswerBody = BaseModel | msgspec.Struct | Sequence[Any] | dict[str, Any] | None
"""The possible content of an answer: a pydantic view, a msgspec struct, or anything else that msgspec encodes. None: no
body.
"""


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    raise NotImplementedError(f"an answer cannot carry a {type(value).__name__}")


_encode = msgspec.json.Encoder(enc_hook=_plain).encode


def json_bytes(content: AnswerBody) -> bytes:
    """The JSON text of an answer."""
    if content is None:
        return b""
    if isinstance(content, BaseModel):
        return content.__pydantic_serializer__.to_json(content)
    return _encode(content)


def answer(
    status: int = 200,
    content: AnswerBody = None,
    *,
    version: int | None = None,
    location: str | None = None,
    varies: bool = False,
    headers: dict[str, str] | None = None,
) -> Response:
    """A JSON answer to a read. `version` becomes its ETag. `varies`: it can change with the time or the reader while
    the version stays. Changes use `Mutation.answer`.
    """
    sent = dict(headers or {})
    if location is not None:
        sent["Location"] = location
    body = json_bytes(content)
    if version is not None:
        sent["ETag"] = etag(version, body if varies else None)
    return Response(body, status, headers=sent, media_type="application/json" if body else None)
