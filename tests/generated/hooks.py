"""What Schemathesis is told besides its settings: an address for each connection, and one check of our own.

It runs in Schemathesis' environment, so nothing of ours is imported here.
"""

from __future__ import annotations

import random
import re
import uuid
from typing import Any

import schemathesis
from requests.adapters import HTTPAdapter
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation

_addresses = random.SystemRandom()
_init_pools = HTTPAdapter.init_poolmanager


def _from_another_address(self: HTTPAdapter, *args: Any, **options: Any) -> None:
    """The gateway limits invalid tokens by address, and the check `ignored_auth` shows one for each operation."""
    octets = (_addresses.randrange(1, 255) for _ in range(3))
    options["source_address"] = (f"127.{'.'.join(map(str, octets))}", 0)
    _init_pools(self, *args, **options)


HTTPAdapter.init_poolmanager = _from_another_address  # type: ignore[method-assign]


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Most requests are new ones. A key that is sent again gets the first answer again, and says nothing about the second."""
    if case.headers is None or case.meta is None:
        return
    well_formed = "Idempotency-Key" in case.headers and not case.meta.is_negative_at(ParameterLocation.HEADER)
    if well_formed and _addresses.random() < 0.9:
        case.headers["Idempotency-Key"] = str(uuid.uuid4())
    tag = str(case.headers.get("If-Match", ""))
    if tag.isdigit() and not case.meta.generation.mode.is_negative:
        case.headers["If-Match"] = f'"{tag}"'  # Schemathesis reads the quotation marks as those of JSON


BEYOND_SCHEMAS = re.compile(
    "|".join(
        (
            r"The signature is wrong or too old\.",
            # One field and another
            r"Only an in-person session can have a venue\.|An in-person session needs a venue\.",
            r"Only allowed for an in-person session\.|Required for an in-person session: .+",
            r"`(to|ends_at)` must be later than `(from|starts_at)`.*|`to` may be at most \d+ days after `from`\.?",
            r"ends_on must not be before starts_on",
            r"with session_id, amount must be 1: a session costs one credit",
            r"`now=true` is only allowed with `reason=law_requires_it`\.",
            r"Required with `share_remark`\.",
            r"more than 14 ranges of hours on .+|hours overlap on .+",
            r"Choose someone other than the member\.",
            # uniqueItems would make sets of the lists of generated clients
            r"must not repeat a value",
            # A field and who asks, the clock, or what there is
            r"Only the provider can check in both parties\.",
            r"Choose a provider other than the current one\.",
            r"The start must be (in the future|within the next \d+ days)\.",
            r"Must be (at most \d+ minutes after the start|later than the current end|whole minutes after the start)\.",
            r"Must be from \d+ to \d+ minutes\.|Must not be before today\.",
            r"The invoices for extending a session can add up to \d+ at most\.",
            r"Send `next_cursor` unchanged, to the same list\.",
            r"No credit of this member was taken for such a session\.",
            r"This platform does not accept charges in this currency\.",
            # Languages of their own
            r"[Mm]ust be (an|the name of an) IANA time zone.*",
            r"must be a telephone number with its country code, such as `\+49 30 123456`",
            r"must be an e-mail address, such as `ada@example\.org`",
            r"must be an ISO 4217 currency that can be paid in, such as USD",
            r"is not a valid id|This is not a valid id\.",
            r"Input should be a day from .+|is out of range",
            # 30.0 is an integer to JSON Schema, and none here
            r"Input should be a valid integer",
            r"amount must not be 0",
            # Classes of characters, for which patterns differ from language to language
            r"must not contain (control characters|an address).*|must not be blank|must contain at least one visible character",
            r"(Text|A parameter) must not contain the character NUL\.",
        )
    )
)
"""What a valid request can be refused for, because no JSON Schema can say it."""


@schemathesis.check
def refuses_valid_data_for_reasons_beyond_schemas(ctx: Any, response: Any, case: Any) -> None:
    """A request that fits the document is not malformed, except for what JSON Schema cannot say."""
    if case.meta is None or case.meta.generation.mode.is_negative or response.status_code not in (400, 422):
        return
    problem = response.json()
    if problem["type"] != "/problems/validation":
        return
    wrong = [error for error in problem.get("errors", [problem]) if not BEYOND_SCHEMAS.fullmatch(error["detail"])]
    if wrong:
        raise Failure(operation=case.operation.label, title="Refuses what the document allows", message=str(wrong))
