"""The schemas of topics in a real registry: it takes each release's, and refuses those that break readers."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from makegood_devtools.errors import UserError
from makegood_stack.ports import free_port
from makegood_stack.schema_registry import Registry, documents, register
from makegood_testkit.certificates import Authority
from makegood_testkit.java_tools import java, registry_folder
from makegood_testkit.waiting import until

pytestmark = pytest.mark.extended
SUBJECT = "booking.sessions.v1-value"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def apicurio(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Apicurio's registry in memory, which only speaks TLS."""
    folder, port = tmp_path_factory.mktemp("apicurio"), free_port()
    identity = authority.issue("registry")
    settings = {
        "QUARKUS_HTTP_HOST": "127.0.0.1",
        "QUARKUS_HTTP_SSL_PORT": str(port),
        "QUARKUS_HTTP_INSECURE_REQUESTS": "disabled",
        "QUARKUS_HTTP_SSL_CERTIFICATE_FILES": str(identity.certificate),
        "QUARKUS_HTTP_SSL_CERTIFICATE_KEY_FILES": str(identity.key),
        "QUARKUS_MANAGEMENT_ENABLED": "false",
    }
    registry = Registry(f"https://127.0.0.1:{port}/apis/ccompat/v7", ca_file=str(authority.file))
    log = folder / "log"
    with java("-jar", registry_folder() / "quarkus-run.jar", log=log, folder=folder, **settings) as process:

        def answers() -> bool:
            assert process.poll() is None, log.read_text()[-4000:]
            try:
                return read(registry, "/subjects").status_code == httpx.codes.OK
            except httpx.TransportError:
                return False

        until(answers, seconds=180)
        yield registry


def read(registry: Registry, path: str) -> httpx.Response:
    import ssl

    context = ssl.create_default_context(cafile=registry.ca_file)
    return httpx.get(registry.url + path, verify=context, trust_env=False, timeout=30)


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
    other = Registry(apicurio.url, ca_file=str(Authority(tmp_path).file))
    with pytest.raises(UserError, match=r"does not answer: .*CERTIFICATE_VERIFY_FAILED"):
        register(other, documents())
