"""Gives each service and each job its user on Kafka, with exactly the rights that it needs.

Settings: KAFKA_BOOTSTRAP_SERVERS and the other Kafka settings of a service (docs/settings.md), with a login that may alter
the cluster; MAKEGOOD_ENVIRONMENT; KAFKA_TOPIC_PREFIX (optional). Run it again after each release: what exists stays.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from makegood_chassis import production
from makegood_chassis.checked_settings import advice
from makegood_chassis.kafka_settings import KafkaSettings
from makegood_contracts.kafka_users import User, users
from makegood_devtools.errors import UserError
from makegood_stack.kafka_users import admin, as_commands
from pydantic import ValidationError


def main() -> None:
    asked = _asked()
    wanted = users(os.environ.get("KAFKA_TOPIC_PREFIX", ""))
    if asked.print:
        sys.stdout.write("\n".join(as_commands(wanted, asked.principal)) + "\n")
        return
    try:
        kafka = KafkaSettings().kafka
        passwords = _passwords(asked.passwords, wanted) if asked.passwords else {}
        with admin(kafka, asked.principal) as rights:
            rights.set_passwords(passwords)
            outcome = rights.grant(wanted, revoke=asked.revoke)
    except ValidationError as error:
        sys.stderr.write(advice(KafkaSettings, error) + "\n")
        sys.exit(2)
    except UserError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    sys.stdout.write(f"passwords set: {', '.join(passwords) or 'none'}\n")
    sys.stdout.write(f"rights granted: {outcome.granted}, revoked: {outcome.revoked}\n")
    for line in outcome.surplus:
        sys.stdout.write(f"not needed (--revoke takes it away): {line}\n")


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Create the users of Kafka with exactly the rights that they need.")
    parser.add_argument(
        "--passwords",
        type=Path,
        metavar="FOLDER",
        help="set the password (SCRAM-SHA-512) of each user for whom the folder has a file with the user's name",
    )
    parser.add_argument(
        "--principal",
        default="User:{user}",
        metavar="NAME",
        help="how the cluster names a user; with client certificates for example 'User:CN={user},O=Example'",
    )
    parser.add_argument("--revoke", action="store_true", help="take away other rights of these users")
    parser.add_argument("--print", action="store_true", help="change nothing: print commands for kafka-acls.sh")
    asked = parser.parse_args()
    if "{user}" not in asked.principal:
        parser.error("--principal must contain {user}")
    return asked


def _passwords(folder: Path, wanted: tuple[User, ...]) -> dict[str, str]:
    """The passwords in the folder, by user. Raises UserError for a weak one, or if there is none."""
    found = {}
    for user in wanted:
        try:
            secret = (folder / user.name).read_text(encoding="utf-8").rstrip("\r\n")
        except FileNotFoundError:
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"{folder / user.name} cannot be read ({type(error).__name__})", exit_code=2) from error
        if why := production.weakness(secret, user.name):
            raise UserError(f"{folder / user.name}: {why}", exit_code=2)
        found[user.name] = secret
    if not found:
        names = ", ".join(user.name for user in wanted)
        raise UserError(f"{folder} has no file of a user; name the files after the users: {names}", exit_code=2)
    return found


if __name__ == "__main__":
    main()
