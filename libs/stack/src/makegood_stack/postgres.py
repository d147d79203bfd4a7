"""PostgreSQL: initialises the cluster, creates databases and logins, and says how to start it."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import psutil
from makegood_devtools.errors import UserError

from makegood_stack.ports import LISTEN, SERVICES
from makegood_stack.processes import Spec

if TYPE_CHECKING:
    from makegood_stack.packages import Programs

NAME = "postgresql"
SUPERUSER = "postgres"
# For development only. The server listens on the loopback interface, and the password is documented.
PASSWORD = "secret"  # noqa: S105 - for development
JOBS = ("owner", "pruner", "auditor")
"""The jobs that have their own login `<service>_<job>`, in addition to the service's own."""
_SETTINGS = {
    "listen_addresses": LISTEN,
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "synchronous_commit": "on",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "min_wal_size": "256MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "checkpoint_completion_target": "0.9",
    "random_page_cost": "1.1",
    "jit": "off",
    # Operators see what the services ask, and the tests count it.
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track": "top",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "lc_messages": "C",
    "log_checkpoints": "off",
    "password_encryption": "scram-sha-256",
    # The log contains no values: no parameters, no rows in error details, no statements with passwords.
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
    "idle_in_transaction_session_timeout": "60s",
}
_WITHOUT_DURABILITY = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
    # Beside the data, with which it is deleted even if the server was killed.
    "dynamic_shared_memory_type": "mmap",
}


def admin_url(port: int, database: str = "postgres") -> str:
    return f"postgresql://{SUPERUSER}:{PASSWORD}@{LISTEN}:{port}/{database}"


def service_url(port: int, service: str, job: str = "") -> str:
    """The address of a service's database, with the login of the service or of one of JOBS."""
    login = f"{service}_{job}" if job else service
    return f"postgresql://{login}:{PASSWORD}@{LISTEN}:{port}/makegood_{service}"


def _other_user() -> tuple[int | None, int | None]:
    """The user to run as, since PostgreSQL refuses root. None: the current user."""
    if os.geteuid() != 0:
        return None, None
    try:
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid
    except KeyError:
        return 65534, 65534


def spec(
    folder: Path, programs: Programs, port: int, *, durable: bool = True, changes: Mapping[str, str] | None = None
) -> Spec:
    """Initialises the cluster if it is new, and returns how to start the server.

    `durable=False` is for tests: it saves waiting for the disk, and may lose data.
    """
    user, group = _other_user()
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    if not (data / "PG_VERSION").exists():
        _prepare(folder, data, programs, user, group)
    _forget_dead_postmaster(data)
    settings = _SETTINGS | ({} if durable else _WITHOUT_DURABILITY) | {"port": str(port)} | dict(changes or {})
    command = [str(programs.postgres / "bin" / "postgres"), "-D", str(data)]
    for key, value in settings.items():
        command += ["-c", f"{key}={value}"]
    return Spec(
        name=NAME,
        command=tuple(command),
        environment={"LC_ALL": "C.UTF-8", "PGTZ": "UTC"},
        ports={"PostgreSQL": port},
        folder=folder,
        user=user,
        group=group,
        # "Fast" shutdown: ends connections, rolls back their transactions and writes a checkpoint.
        stop_signal=signal.SIGINT,
        stop_seconds=20,
    )


def _prepare(folder: Path, data: Path, programs: Programs, user: int | None, group: int | None) -> None:
    """Runs initdb in a temporary folder that is renamed when complete, so that an interrupted run has no effect."""
    fresh = folder / "data.part"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.rmtree(data, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    if user is not None and group is not None:
        os.chown(fresh, user, group)
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as password:
        password.write(PASSWORD + "\n")
        password.flush()
        if user is not None and group is not None:
            os.chown(password.name, user, group)
        command = (
            str(programs.postgres / "bin" / "initdb"),
            *("-D", str(fresh), "-U", SUPERUSER, "-E", "UTF8", "--no-sync", "--no-instructions"),
            *("--auth=scram-sha-256", f"--pwfile={password.name}"),
            *("--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
        )
        result = subprocess.run(  # noqa: S603 - our own command
            command, capture_output=True, text=True, check=False, user=user, group=group, cwd=folder,
            extra_groups=[] if user is not None else None,
        )  # fmt: skip
    if result.returncode:
        raise UserError("PostgreSQL could not be prepared: " + result.stderr.strip()[-400:])
    fresh.replace(data)


def _forget_dead_postmaster(data: Path) -> None:
    """Removes the pid file of a killed server if its pid now belongs to a zombie or another program."""
    path = data / "postmaster.pid"
    try:
        pid = int(path.read_text().split()[0])
        if not _is_server(pid, data):
            path.unlink()
    except (OSError, ValueError, IndexError):
        return


def _is_server(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and str(data) in " ".join(process.cmdline())
    except psutil.Error:
        return False


def await_end(folder: Path, seconds: float = 10) -> None:
    """Waits until a killed server is completely gone; otherwise the next one would refuse to start."""
    data = folder / "data"
    until = time.monotonic() + seconds
    try:
        pid = int((data / "postmaster.pid").read_text().split()[0])
        while _is_server(pid, data) and time.monotonic() < until:
            time.sleep(0.05)
    except (OSError, ValueError, IndexError):
        return


async def answers(url: str) -> bool:
    """Whether the server accepts this login now."""
    try:
        connection = await asyncpg.connect(url, timeout=3)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
        return False
    await connection.close()
    return True


async def make_databases(port: int) -> None:
    """Creates a database per service with its owner and logins. `migrate` grants the rights.

    A login can connect to its own service's database only. The tables of a database of an earlier release, which belong to
    the service's own login, are given to the owner.
    """
    admin = await asyncpg.connect(admin_url(port))
    try:
        roles = {r["rolname"] for r in await admin.fetch("SELECT rolname FROM pg_roles")}
        owners = {r["datname"]: r["owner"] for r in await admin.fetch(_OWNERS)}
        for service in SERVICES:
            for role in (service, *(f"{service}_{job}" for job in JOBS)):
                if role not in roles:
                    await admin.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
            if f"makegood_{service}" not in owners:
                # The faster strategy for small templates, without a checkpoint.
                await admin.execute(f"CREATE DATABASE makegood_{service} OWNER {service}_owner STRATEGY wal_log")
                await admin.execute(f"REVOKE ALL ON DATABASE makegood_{service} FROM PUBLIC")
                logins = ", ".join((service, f"{service}_pruner", f"{service}_auditor"))
                await admin.execute(f"GRANT CONNECT ON DATABASE makegood_{service} TO {logins}")
        await admin.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
    finally:
        await admin.close()
    for service in SERVICES:
        if owners.get(f"makegood_{service}") == service:
            await _as_superuser(port, service, f"REASSIGN OWNED BY {service} TO {service}_owner")
    await _as_superuser(port, "availability", "CREATE EXTENSION IF NOT EXISTS btree_gist")


_OWNERS = "SELECT datname, pg_get_userbyid(datdba) AS owner FROM pg_database"


async def _as_superuser(port: int, service: str, statement: str) -> None:
    connection = await asyncpg.connect(admin_url(port, f"makegood_{service}"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
