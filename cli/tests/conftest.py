"""Each module that starts something does so in a home of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from makegood_testkit.places import cli, home, offset, place

if TYPE_CHECKING:
    from .export_case import Exports

__all__ = ["cli", "home", "offset", "place"]


@pytest.fixture
def exports(kafka_servers: str, topic_prefix: str) -> Exports:
    """Publishes to topics of this test, and exports them."""
    from .export_case import Exports  # needs the extra `data`

    return Exports(kafka_servers, topic_prefix)
