"""Makes a password for each login that has none, and writes the secrets that each container reads.

`python make_passwords.py STATE_FOLDER FILE_OF_THE_PERSON GROUP`. The folder `secrets` in the state folder gets one folder per
container. It has the same owner as the file, so that `makegood` on the host can use `logins.json`. Only the group can read it
as well.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path

from makegood_stack import postgres, redis
from makegood_stack.ports import SERVICES

JOBS = ("", *postgres.JOBS)


def login(service: str, job: str) -> str:
    return f"{service}_{job}" if job else service


def passwords(file: Path) -> dict[str, str]:
    """All logins with their passwords. Existing passwords are kept."""
    names = [postgres.SUPERUSER, redis.LOGIN, *(login(service, job) for service in SERVICES for job in JOBS)]
    known: dict[str, str] = json.loads(file.read_text()) if file.exists() else {}
    return {name: known.get(name) or secrets.token_urlsafe(24) for name in names}


def contents(logins: dict[str, str]) -> dict[str, str]:
    """The content of each file. Passwords from `token_urlsafe` need no escaping in URLs or in a shell."""
    variables = {f"{name.upper()}_PASSWORD": word for name, word in logins.items()}
    variables["PGPASSWORD"] = logins[postgres.SUPERUSER]
    files = {
        "postgres/superuser": logins[postgres.SUPERUSER],
        "postgres/passwords": "".join(f"export {name}={word}\n" for name, word in variables.items()),
        "redis/password": logins[redis.LOGIN],
        "redis/redis.conf": redis.configuration(logins[redis.LOGIN], Path("/data"), 6379, "0.0.0.0"),  # noqa: S104
    }
    for service in SERVICES:

        def address(job: str, service: str = service) -> str:
            name = login(service, job)
            return f"postgresql://{name}:{logins[name]}@postgres:5432/makegood_{service}"

        files |= {
            f"{service}/database-url": address(""),
            f"{service}/pruner-database-url": address("pruner"),
            f"{service}/redis-url": f"redis://{redis.LOGIN}:{logins[redis.LOGIN]}@redis:6379/0",
            f"migrate-{service}/database-url": address(""),
            f"migrate-{service}/pruner-database-url": address("pruner"),
            f"migrate-{service}/owner-database-url": address("owner"),
            f"cli/{service}-auditor": address("auditor"),
            f"cli/{service}-owner": address("owner"),
        }
    return files


def main() -> None:
    state, person, group = Path(sys.argv[1]), Path(sys.argv[2]).stat(), int(sys.argv[3])
    folder = state / "secrets"
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    logins = passwords(folder / "logins.json")
    for name, text in {"logins.json": json.dumps(logins, indent=1), **contents(logins)}.items():
        file = folder / name
        file.parent.mkdir(mode=0o750, exist_ok=True)
        fresh = file.with_name(f".{file.name}.new")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as writing:
            writing.write(text)
        fresh.replace(file)
    if state.stat().st_uid != person.st_uid:
        os.chown(state, person.st_uid, person.st_gid)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, person.st_uid, group)
        path.chmod(0o750 if path.is_dir() else 0o640)
    (folder / "logins.json").chmod(0o600)


if __name__ == "__main__":
    main()
