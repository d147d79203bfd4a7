"""A secret comes from the environment or from a file, and never shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest
from makegood_chassis.settings import ServiceSettings
from pydantic import Field, SecretStr, ValidationError

CANARY = "Gr4ssh0pper"


class Settings(ServiceSettings):
    """A service with a secret of its own, declared as any other setting is."""

    api_key: SecretStr = Field(SecretStr(""), validation_alias="API_KEY", description="For the test.")
    needed_key: SecretStr = Field(validation_alias="NEEDED_KEY", description="For the test.")


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("API_KEY", "NEEDED_KEY", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAKEGOOD_ENVIRONMENT", "development")
    monkeypatch.setenv("DATABASE_URL", "postgresql://u:p@127.0.0.1/d")
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("JWKS_URL", "/jwks.json")
    monkeypatch.setenv("NEEDED_KEY", "x")


def read() -> Settings:
    return Settings()


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
def test_a_secret_comes_from_a_file_without_the_newline_at_its_end(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(f" {CANARY}\nof two lines{ending}".encode())
    monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "key"))
    assert read().api_key.get_secret_value() == f" {CANARY}\nof two lines"


def test_a_secret_that_is_needed_may_come_from_a_file_and_is_checked_as_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "url").write_text(f"postgresql://u:{CANARY}@127.0.0.1/d\n")
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.setenv("DATABASE_URL_FILE", str(tmp_path / "url"))
    assert read().database_url.get_secret_value() == f"postgresql://u:{CANARY}@127.0.0.1/d"
    (tmp_path / "url").write_text(f"mysql://u:{CANARY}@127.0.0.1/d\n")
    with pytest.raises(ValidationError, match="postgresql://") as refusal:
        read()
    assert CANARY not in str(refusal.value)


def test_every_file_that_cannot_be_used_is_refused_with_advice_and_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "absent"))
    monkeypatch.setenv("NEEDED_KEY_FILE", str(tmp_path / "empty"))
    monkeypatch.delenv("NEEDED_KEY")
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path))
    with pytest.raises(ValidationError) as refusal:
        read()
    told = {str(problem["loc"][0]): problem["msg"] for problem in refusal.value.errors()}
    assert set(told) == {"API_KEY", "NEEDED_KEY", "REDIS_URL"}
    assert "No such file" in told["API_KEY"]
    assert "empty file" in told["NEEDED_KEY"]
    assert "cannot be read" in told["REDIS_URL"]


@pytest.mark.parametrize(("content", "advice"), [(b"\xff\xfe", "UTF-8"), (b"x" * 70_000, "64 kB")])
def test_a_file_that_holds_something_else_is_refused(
    content: bytes, advice: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_bytes(content)
    monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(ValidationError, match=advice):
        read()


def test_both_at_once_are_refused_and_an_empty_variable_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(CANARY)
    monkeypatch.setenv("API_KEY_FILE", str(tmp_path / "key"))
    monkeypatch.setenv("API_KEY", "other")
    with pytest.raises(ValidationError, match="API_KEY and API_KEY_FILE are both set"):
        read()
    monkeypatch.setenv("API_KEY", "")
    assert read().api_key.get_secret_value() == CANARY
    monkeypatch.setenv("API_KEY_FILE", "")
    assert read().api_key.get_secret_value() == ""


def test_nothing_shows_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", CANARY)
    monkeypatch.setenv("REDIS_URL", f"redis://:{CANARY}@127.0.0.1/0")
    settings = read()
    shown: list[Any] = [repr(settings), str(settings), settings.model_dump(), settings.model_dump_json()]
    monkeypatch.setenv("STOP_TIMEOUT", "never")
    try:
        read()
    except ValidationError as error:
        shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
    assert len(shown) == 7
    assert CANARY not in "".join(map(str, shown))


def test_only_secrets_come_from_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "level").write_text("ERROR")
    monkeypatch.setenv("LOG_LEVEL_FILE", str(tmp_path / "level"))
    assert read().log_level == "INFO"


def test_the_command_line_takes_addresses_from_files_too(tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"redis://:{CANARY}@127.0.0.1:1/0\n")
    code = (
        "import json; from makegood_stack.config import Stack; from makegood_stack.home import Home; "
        "from makegood_stack.services import environment; from makegood_cli.commands.stack import addresses; "
        "stack = Stack.of(Home.find()); "
        "print(json.dumps([stack.redis_url, environment(stack, 'booking'), addresses(stack)]))"
    )
    values = {key: value for key, value in os.environ.items() if key != "REDIS_URL"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**values, "REDIS_URL_FILE": str(tmp_path / "url")},
        capture_output=True,
        text=True,
        check=True,
    )
    url, environment, addresses = json.loads(done.stdout)
    assert url == environment["REDIS_URL"] == f"redis://:{CANARY}@127.0.0.1:1/0"
    assert environment["REDIS_URL_FILE"] == ""
    assert CANARY not in str(addresses)
