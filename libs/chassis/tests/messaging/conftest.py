"""Fixtures of the messaging tests; their helpers stand in `messaging_helpers`."""

from .messaging_helpers import database, database_url

__all__ = ["database", "database_url"]
