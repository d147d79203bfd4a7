"""Development's keys that sign events: each service's private half for itself alone, the public halves for all."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest
from makegood_chassis.messaging.event_keys import fetch_event_keys
from makegood_chassis.messaging.signatures import Signer
from makegood_devtools.event_keys import make_event_keys, private_key_file, public_keys_file
from makegood_devtools.mailbox import Mailbox
from makegood_devtools.web import web_app
from makegood_stack.config import Choices, Stack
from makegood_stack.home import Home
from makegood_stack.ports import SERVICES
from makegood_stack.services import environment
from makegood_testkit.cli import Cli

pytestmark = pytest.mark.rule("SEC-7")


def test_each_service_has_a_key_of_its_own_that_others_cannot_read(tmp_path: Path) -> None:
    make_event_keys(tmp_path)
    kept = {service: private_key_file(tmp_path, service).read_text() for service in SERVICES}
    make_event_keys(tmp_path)
    published = fetch_event_keys(str(public_keys_file(tmp_path)))
    for service, pem in kept.items():
        path = private_key_file(tmp_path, service)
        assert path.read_text() == pem, "a key that is there stays"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert published[Signer.of(pem).kid].service == service
    assert "PRIVATE" not in public_keys_file(tmp_path).read_text()
    assert all("d" not in key for key in json.loads(public_keys_file(tmp_path).read_text())["keys"])


async def test_the_development_side_serves_the_public_halves(tmp_path: Path) -> None:
    path = "/.well-known/event-keys.json"
    transport = httpx.ASGITransport(web_app(Mailbox(), tmp_path, event_keys=public_keys_file(tmp_path)))
    async with httpx.AsyncClient(transport=transport, base_url="http://mail") as client:
        assert (await client.get(path)).status_code == 404
        make_event_keys(tmp_path)
        assert (await client.get(path)).json() == json.loads(public_keys_file(tmp_path).read_text())


def test_a_process_gets_the_key_of_its_own_service_alone(tmp_path: Path) -> None:
    home = Home(root=tmp_path, state=tmp_path / ".makegood")
    stack = Stack(home, Choices(), {})
    for service in SERVICES:
        values = environment(stack, service)
        assert values["EVENT_SIGNING_KEY_FILE"] == str(private_key_file(home.event_keys, service))
        others = [str(private_key_file(home.event_keys, other)) for other in SERVICES if other != service]
        assert not set(others) & set(values.values())


def test_the_public_half_is_printed_for_the_key_set(cli: Cli, tmp_path: Path) -> None:
    make_event_keys(tmp_path)
    path = private_key_file(tmp_path, "credits")
    result = cli("event-key", "credits", str(path))
    entries = json.loads(public_keys_file(tmp_path).read_text())["keys"]
    assert json.loads(result.stdout) in entries
    assert json.loads(result.stdout)["makegood_service"] == "credits"
    assert cli("event-key", "payments", str(path)).returncode == 2
    (tmp_path / "wrong.pem").write_text("no key")
    refused = cli("event-key", "credits", str(tmp_path / "wrong.pem"))
    assert refused.returncode == 1
    assert "PEM" in refused.stderr
