"""What commands print and how they refuse, without any server."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import timedelta

import jwt
import psutil
import pytest
from makegood_cli.commands.demo import STORIES
from makegood_cli.demo import stories
from makegood_cli.duration import parse_duration
from makegood_devtools import keys
from makegood_devtools.errors import UserError
from makegood_stack.config import Choices
from makegood_stack.home import Home
from makegood_stack.inspect import memory_of, missing_roles
from makegood_testkit.cli import Cli


@pytest.fixture(scope="module", autouse=True)
def nothing_answers(home: Home, offset: int) -> None:
    """On the usual ports somebody's own platform may run, such as the one that the demo leaves."""
    Choices(port_offset=offset).remember(home)


def test_token_prints_the_token_alone_with_the_documented_claims(cli: Cli, home: Home) -> None:
    result = cli("token", "--role", "provider", "--subject", "p-7", "--expires", "90s")
    assert result.returncode == 0
    assert result.stderr == ""
    token = result.stdout.strip()
    assert result.stdout == token + "\n"
    assert jwt.get_unverified_header(token)["alg"] == "RS256"
    public = keys.signing_key(home.identity).private.public_key()
    claims = jwt.decode(token, public, ["RS256"], audience="makegood", issuer="https://identity.makegood.invalid")
    assert set(claims) == {"iss", "aud", "sub", "roles", "iat", "exp", "jti"}
    assert (claims["sub"], claims["roles"]) == ("p-7", ["provider"])
    assert 60 < claims["exp"] - time.time() <= 90


def test_the_demo_offers_every_story_there_is() -> None:
    assert tuple(stories.STORIES) == STORIES


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["token", "--role", "king", "--subject", "x"], 2, "choose one of member, provider, support, ops"),
        (["token", "--role", "ops", "--subject", "x", "--expires", "soon"], 2, "is not a duration"),
        (["token", "--role", "ops", "--subject", "x", "--expires", "61m"], 2, "longer than 3600 s"),
        (["token", "--role", "ops", "--subject", "Jane Doe"], 2, "--subject must be 1 to 128"),
        (["token", "--role", "ops", "--subject", "x" * 129], 2, "--subject must be 1 to 128"),
        (["token", "--role", "ops", "--subject", "x\n"], 2, "--subject must be 1 to 128"),
        (["up", "--scale", "booking=many"], 2, "SERVICE=N"),
        (["up", "--scale", "booking=0"], 2, "SERVICE=N"),
        (["up", "--scale", "booking-serve=10"], 2, "N from 1 to 9"),
        (["up", "--scale", "booking-sing=2"], 2, "SERVICE-serve=N or SERVICE-work=N with a service of booking"),
        (["up", "--scale", "booking=2", "--scale", "booking-work=2"], 2, "choose one"),
        (["restart", "piano"], 2, "piano is neither a service nor a process"),
        (["restart", "booking"], 1, "Start it with: makegood up"),
        (["up", "--role", "sing"], 2, "choose one of all, serve, work"),
        (["up", "--only", "piano"], 2, "choose from"),
        (["up", "--port-offset", "99999"], 2, "--port-offset must be between"),
        (["up", "--port-offset", "-1"], 2, "--port-offset must be between"),
        (["audit", "--port-offset", "99999"], 2, "--port-offset must be between"),
        (["demo", "--stack", "paper"], 2, "embedded or compose"),
        (["demo", "cinderella"], 2, "Choose one of provider-missed, late-cancellation, why-cant-i-book"),
        (["topics", "redrive", "piano"], 2, "Choose one of booking"),
        (["topics", "redrive", "credits"], 1, "Start it with: makegood up"),
        (["topics", "describe", "nothing.like.it"], 2, "unknown topic"),
        (["topics", "tail"], 1, "Start it with: makegood up"),
        (["clock", "advance", "48h"], 1, "Start it with: makegood up"),
        (["clock", "advance", "3661d"], 2, "at most 3660 days ahead of real time"),
        (["logs", "nobody"], 2, "nobody has no log"),
        (["logs", "../choices"], 2, "has no log"),
        (["logs", "booking-9"], 1, "booking-9 has no log"),
        (["logs", "booking", "-n", "-1"], 2, "greater than or equal to 0"),
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


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        (["up"], ["all|serve|work", "SERVICE[-serve|-work]=N", "PART", "Kept for later", "Parts: kafka"]),
        (["token"], ["member|provider|support|ops", "DURATION"]),
        (["demo"], ["embedded|compose"]),
        (["logs"], ["SERVICE", "-n, --lines"]),
        (["topics", "redrive"], ["SERVICE", "--id", "--reason"]),
        (["clock", "advance"], ["DURATION"]),
    ],
)
def test_help_names_what_a_word_takes(cli: Cli, words: list[str], shown: list[str]) -> None:
    text = cli(*words, "--help").stdout
    assert [word for word in shown if word not in " ".join(text.split())] == []
    assert [line for line in text.splitlines() if "TEXT" in line] == []


def test_logs_shows_whole_lines_and_as_many_as_asked(cli: Cli, home: Home) -> None:
    written = [f"{number} {'x' * 3000}" for number in range(100)]
    home.log("kafka").write_text("\n".join(written))
    assert cli("logs", "kafka", "-n", "0").stdout == ""
    assert cli("logs", "kafka", "-n", "1").stdout == written[-1]
    assert cli("logs", "kafka", "-n", "60").stdout.splitlines() == written[-60:]
    home.log("kafka").write_text("\n".join(written) + "\n")
    assert cli("logs", "kafka", "-n", "1").stdout == written[-1] + "\n"
    assert cli("logs", "kafka", "-n", "1000").stdout.splitlines() == written


def test_the_words_of_choices_name_what_is_not_the_default() -> None:
    assert Choices().words == ""
    choices = Choices().changed(24000, "serve", ["credits=2", "booking=1"])
    assert choices.words == "--port-offset 24000 --role serve --scale credits=2"


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        (["all"], ""),
        (["serve", "work"], ""),
        (["serve"], "no process of booking works on events and deadlines. Start one with"),
        (["work"], "no process of booking serves requests. Start one with"),
        ([], ""),
    ],
)
def test_a_service_that_nobody_works_for_is_remarked(roles: list[str], told: str) -> None:
    remarks = missing_roles("booking", frozenset(roles))
    assert [r.partition(":")[0] for r in remarks] == ([told] if told else [])


def test_memory_counts_the_children() -> None:
    """A shell holds the gateway: its own memory says nothing."""
    grown = "x = b'y' * (64 << 20); print('on', flush=True); import time; time.sleep(300)"
    command = ["/bin/sh", "-c", '"$@" & wait', "holder", sys.executable, "-c", grown]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "on\n"
            process = psutil.Process(holder.pid)
            assert memory_of(process) > 64 << 20 > process.memory_info().rss
        finally:
            for child in psutil.Process(holder.pid).children():
                child.kill()


def test_whoever_stays_signed_in_renews_the_token_before_it_ends(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now)
    login = keys.Login(home.identity, "member", "m-1")
    first = login.token
    now += 1790
    assert login.token == first
    now += 20
    assert login.token != first
    assert first not in repr(login)
