"""Alembic's environment, the same for every service: runs in the transaction that `migrations.migrate` began."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
