"""A server that goes away in the middle of a command: words that help, whichever command it is."""

from __future__ import annotations

import socket
import sys

import asyncpg
import httpx
import pytest
import typer
from aiokafka import errors
from makegood_cli import main


def run(error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """What the command line says if a command ends with `error`. It must exit with 1."""

    def ends() -> None:
        raise error

    app = typer.Typer()
    app.callback()(lambda: None)
    app.command("work")(ends)
    monkeypatch.delenv("MAKEGOOD_DEBUG", raising=False)
    monkeypatch.setattr(sys, "argv", ["makegood", "work"])
    monkeypatch.setattr(main, "app", app)
    monkeypatch.setattr(main, "register_all", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 1
    said = capsys.readouterr().err
    assert "Traceback" not in said
    return " ".join(said.split())


@pytest.mark.parametrize(
    ("error", "server"),
    [
        (errors.NodeNotReadyError("broker 1"), "Kafka"),
        (errors.KafkaConnectionError("lost"), "Kafka"),
        (asyncpg.ConnectionDoesNotExistError("closed in the middle"), "PostgreSQL"),
        (asyncpg.AdminShutdownError("terminating"), "PostgreSQL"),
        (asyncpg.InterfaceError("connection is closed"), "PostgreSQL"),
        (httpx.ReadError("reset"), "the gateway or a service"),
        (ConnectionResetError(104, "reset"), "a server"),
        (socket.gaierror("no such host"), "a server"),
        (TimeoutError(), "a server"),
        (ExceptionGroup("tasks", [ValueError("x"), ExceptionGroup("y", [ConnectionResetError()])]), "a server"),
    ],
)
def test_a_server_that_goes_away_is_told_with_what_to_do(
    error: BaseException, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    said = run(error, monkeypatch, capsys)
    assert said.startswith(f"makegood: {server} stopped answering (")
    assert said.endswith("Then run the same command again")


@pytest.mark.parametrize(
    "error",
    [
        ValueError("a bug"),
        asyncpg.UndefinedTableError("no table"),
        errors.IllegalStateError("a bug"),
        FileNotFoundError("no file"),
    ],
)
def test_other_errors_are_not_blamed_on_a_server(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "stopped answering" not in run(error, monkeypatch, capsys)
