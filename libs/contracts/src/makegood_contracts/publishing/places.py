"""Where the published contracts stand in the sources, and under which paths the gateway serves them.

The paths are promises: they stand in events (`ce_dataschema`) and in what clients have saved.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

PUBLISHED: Final = Path(__file__).parents[3] / "published"
OPENAPI: Final = PUBLISHED / "openapi.json"
"""Of all services together; made by `python -m makegood_testkit.api_document`, since this library knows no service."""

OPENAPI_PATH: Final = "/v1/openapi.json"
ASYNCAPI_PATH: Final = "/asyncapi.json"
SCHEMAS_PATH: Final = "/schemas"
"""The JSON Schema of an event stands below it: `/schemas/<ce_type>.json`."""
