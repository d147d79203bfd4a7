"""Where the published contracts are in the source tree, and the paths at which the gateway serves them.

The paths must not change: events (`ce_dataschema`) and clients refer to them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PUBLISHED: Final = Path(__file__).parents[3] / "published"
OPENAPI: Final = PUBLISHED / "openapi.json"
"""The API document of all services. `python -m makegood_testkit.api_document` generates it; this library knows no services."""

OPENAPI_PATH: Final = "/v1/openapi.json"
ASYNCAPI_PATH: Final = "/asyncapi.json"
SCHEMAS_PATH: Final = "/schemas"
"""The JSON Schema of an event is at `/schemas/<ce_type>.json`."""
