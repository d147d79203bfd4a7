"""Events name the schema of their payload by the gateway's address, so the gateway and the services must have the same one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from makegood_stack.config import Choices, Stack
from makegood_stack.home import Home, find_root
from makegood_stack.packages import Programs
from makegood_stack.ports import SERVICES
from makegood_stack.services import environment, gateway_spec

NOWHERE = Path("/nowhere")
PROGRAMS = Programs(java=NOWHERE, kafka_jars=(), postgres=NOWHERE, redis=NOWHERE, envoy=NOWHERE)


@pytest.mark.parametrize("given", [None, "https://api.clinic.example"], ids=["this machine", "given"])
def test_the_embedded_gateway_serves_schemas_under_the_address_that_services_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    monkeypatch.delenv("PUBLIC_BASE_URL", raising=False)
    if given is not None:
        monkeypatch.setenv("PUBLIC_BASE_URL", given)
    stack = Stack(Home(root=find_root(), state=tmp_path), Choices(port_offset=300))
    gateway_spec(stack, PROGRAMS)
    (schema, *_) = sorted(stack.folder("gateway").glob("*.pages/schema-*.json"))
    start = json.loads(schema.read_text())["$id"].partition("/schemas/")[0]
    assert start == (given or "http://127.0.0.1:8380")
    assert {environment(stack, service)["PUBLIC_BASE_URL"] for service in SERVICES} == {start}


def test_so_does_the_one_in_containers() -> None:
    composed = yaml.safe_load((find_root() / "docker-compose.yml").read_text())["services"]
    told = {composed[service]["environment"]["PUBLIC_BASE_URL"] for service in SERVICES}
    options = [word for word in composed["gateway-config"]["command"] if word.startswith("--public-url=")]
    assert [option.partition("=")[2] for option in options] == sorted(told)
