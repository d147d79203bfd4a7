"""What every service stands on."""

import os

from makegood_chassis.lean_imports import without

# Nobody uses plugins of pydantic. Looking for them reads the metadata of every installed package.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
with without("rich", "better_exceptions"):  # for coloured tracebacks on a terminal; services write JSON
    import structlog as structlog
