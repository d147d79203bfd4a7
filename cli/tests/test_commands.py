"""What commands print and how they refuse, without any server."""

from __future__ import annotations

import time
from datetime import timedelta

import jwt
import pytest
from makegood_cli.devside import keys
from makegood_cli.duration import parse_duration
from makegood_cli.errors import UserError
from makegood_cli.stack.home import Home
from makegood_testkit.cli import Cli


def test_token_prints_the_token_alone_with_the_documented_claims(cli: Cli, home: Home) -> None:
    result = cli("token", "--role", "provider", "--subject", "p-7", "--expires", "90s")
    assert result.returncode == 0
    assert result.stderr == ""
    token = result.stdout.strip()
    assert result.stdout == token + "\n"
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    public = keys.newest_key(home.identity).private.public_key()
    claims = jwt.decode(token, public, ["RS256"], audience="makegood", issuer="https://identity.makegood.invalid")
    assert set(claims) == {"iss", "aud", "sub", "roles", "iat", "exp", "jti"}
    assert (claims["sub"], claims["roles"]) == ("p-7", ["provider"])
    assert 60 < claims["exp"] - time.time() <= 90


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["token", "--role", "king", "--subject", "x"], 2, "the roles are member, provider, support, ops"),
        (["token", "--role", "ops", "--subject", "x", "--expires", "soon"], 2, "no duration"),
        (["up", "--scale", "booking=many"], 1, "SERVICE=N"),
        (["up", "--role", "sing"], 1, "--role is one of"),
        (["up", "--only", "piano"], 2, "the parts are"),
        (["up", "--port-offset", "99999"], 1, "--port-offset must lie between"),
        (["topics", "describe", "nothing.like.it"], 2, "there is no topic"),
        (["topics", "tail"], 1, "is it up? makegood up"),
        (["clock", "advance", "48h"], 1, "is it up? makegood up"),
        (["logs", "nobody"], 1, "there is no log of nobody"),
        (["fly"], 2, "No such command"),
    ],
)
def test_refusals_are_clear_words_and_no_traceback(cli: Cli, words: list[str], code: int, says: str) -> None:
    result = cli(*words)
    assert result.returncode == code
    assert says in result.stderr
    assert "Traceback" not in result.stderr + result.stdout


def test_topics_are_listed_with_owner_and_key(cli: Cli) -> None:
    lines = cli("topics", "list").stdout.splitlines()
    assert any(line.split()[:3] == ["booking.sessions.v1", "booking", "session_id"] for line in lines)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("48h", 172800), ("25d", 2160000), ("1h30m", 5400)]
)
def test_durations(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "48", "h", "-1h", "1w", "0s", "1 h", "999999999999999d"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(UserError):
        parse_duration(text)
