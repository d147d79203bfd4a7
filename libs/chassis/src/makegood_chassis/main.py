"""`python -m makegood_<name> serve|work|migrate|all|fill-states`: the process of a service, in one role."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Final, NoReturn, TypeVar

import structlog
import uvloop
from pydantic import ValidationError

from makegood_chassis import observe, tracing
from makegood_chassis.checked_settings import advice
from makegood_chassis.database_link import UnusableDatabase
from makegood_chassis.grants import Logins
from makegood_chassis.metrics import REGISTRY_OF_PROCESS
from makegood_chassis.roles import ROLE
from makegood_chassis.runtime import Runtime
from makegood_chassis.service import Service
from makegood_chassis.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)

ROLES: Final = ("serve", "work", "all", "migrate", "fill-states")


def run(bootstrap: Callable[[S], Service], settings: type[S], argv: Sequence[str] | None = None) -> None:
    """`python -m makegood_<name> serve|work|migrate|all|fill-states`: reads settings, runs the role until SIGTERM, drains, and
    exits with 0. Invalid settings end the process with exit code 2 and a message with the variable and advice. In
    production, so do logins that could bypass the database's grants.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if len(words) != 1 or words[0] not in ROLES:
        _refuse(f"name one of the roles: {', '.join(ROLES)}")
    role = words[0]
    ROLE.set(role)
    try:
        values = settings()
    except ValidationError as error:
        _refuse(advice(settings, error))
    try:
        _run(bootstrap(values), role)
    except UnusableDatabase as error:
        _refuse(str(error))
    except Exception:
        # As Python would write it, but without secrets, because errors of libraries quote addresses.
        sys.stderr.write(values.without_secrets(traceback.format_exc()))
        sys.exit(1)


def _run(service: Service, role: str) -> None:
    values = service.settings
    observe.configure_logs(service.name, values.log_level)
    if role == "migrate":
        _migrate(service)
        return
    if role == "fill-states":
        _fill_states(service)
        return
    if values.migrate:
        _migrate_apart(service)
    tracing.configure_traces(service.name, role, values.otlp_endpoint)
    REGISTRY_OF_PROCESS.set_target_info({"service_name": f"makegood-{service.name}", "makegood_role": role})
    runtime = Runtime(service, role)
    # Everything imported and wired so far lives as long as the process, so the garbage collector can skip it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    uvloop.run(runtime.run())


def _fill_states(service: Service) -> None:
    """Runs until all is marked, or ends the process with exit code 1 if a server does not answer."""
    from makegood_chassis.messaging.failures import is_transient
    from makegood_chassis.states.filling import fill

    try:
        asyncio.run(fill(service))
    except Exception as error:
        if not is_transient(error):
            raise
        structlog.get_logger(__name__).error("a server does not answer; start this again", error=type(error).__name__)
        sys.exit(1)


def _migrate_apart(service: Service) -> None:
    """Runs the migrations in a child of this process: what they load would stay in memory as long as the service runs."""
    child = os.fork()
    if not child:
        code = 1
        try:
            _migrate(service)
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if status:
        sys.exit(1)


def _migrate(service: Service) -> None:
    """Runs the migrations, or ends the process with exit code 1 and the reason as its last line."""
    from makegood_chassis.migrations import migrate

    settings = service.settings
    try:
        pooled, direct, owner, pruner = (
            url.get_secret_value()
            for url in (
                settings.database_url,
                settings.direct_database_url,
                settings.owner_database_url,
                settings.pruner_database_url,
            )
        )
        own = direct or pooled
        logins = Logins.of(own, pruner or own) if owner or pruner else None
        asyncio.run(migrate(owner or own, service.migrations, service.grants, logins, development=settings.development))
    except OSError as error:
        structlog.get_logger(__name__).error("the database cannot be reached", error=type(error).__name__)
        sys.exit(1)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        told = f"{traceback.format_exc()}the migrations of {service.name} failed: {type(error).__name__}: {reason}\n"
        sys.stderr.write(service.settings.without_secrets(told))
        sys.exit(1)


def _refuse(message: str) -> NoReturn:
    sys.stderr.write(message + "\n")
    sys.exit(2)
