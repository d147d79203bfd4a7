"""The configuration itself: Envoy accepts every form of it, and impossible settings are refused with advice."""

from __future__ import annotations

import html
import json
import subprocess
import sys
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from gateway_harness import Gateway, envoy_binary, running_gateway
from makegood_contracts.envelope import EXAMPLE_BASE_URL
from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.problems import PROBLEMS
from makegood_contracts.publishing.examples import record_of
from makegood_contracts.publishing.places import OPENAPI

RENDER = Path(__file__).resolve().parents[2] / "deploy" / "gateway" / "render.py"
EMBEDDED = [
    *("--listen", "127.0.0.1", "--gateway-port", "18080", "--admin-port", "19901"),
    *("--booking", "127.0.0.1:8101/9101,127.0.0.1:8111/9111", "--availability", "127.0.0.1:8102/9102"),
    *("--credits", "127.0.0.1:8103/9103", "--notifications", "127.0.0.1:8104/9104", "--identity", "127.0.0.1:8025"),
]
COMPOSE = [
    *("--listen", "0.0.0.0", "--probe-listen", "0.0.0.0", "--probe-port", "9902"),
    *("--booking", "booking:8101/9101", "--availability", "availability:8102/9102", "--credits", "credits:8103/9103"),
    *("--notifications", "notifications:8104/9104", "--identity", "mail:8025", "--otlp", "collector:4318"),
    *("--cors-origin", r"https://app\.example\.org", "--trusted-hops", "1"),
]
KUBERNETES = [
    *COMPOSE,
    *("--identity", "https://identity.example.org/realms/care/certs", "--otlp", "https://collector.example.org:4318"),
    "--drainable",
]


def _render(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RENDER), "--out", str(out), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("form", [EMBEDDED, COMPOSE, KUBERNETES], ids=["embedded", "compose", "kubernetes"])
def test_envoy_accepts_it_without_a_warning(tmp_path: Path, form: list[str]) -> None:
    out = tmp_path / "envoy.yaml"
    rendered = _render(out, *form)
    assert rendered.returncode == 0, rendered.stderr
    command = [str(envoy_binary()), "-c", str(out), "--mode", "validate", "--log-level", "warning"]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "warning" not in checked.stderr.lower()


@pytest.mark.parametrize(
    ("wrong", "advice"),
    [
        (["--booking", "nowhere"], "host:port"),
        (["--booking", "127.0.0.1:8101/"], "host:port"),
        (["--booking", "127.0.0.1:8101"], "probe port"),
        (["--admin-listen", "0.0.0.0"], "loopback"),
        (["--identity", "ftp://identity.example.org"], "https://"),
        (["--identity", "nowhere"], "host:port"),
        (["--identity-ca", "/nowhere.pem"], "PEM"),
        (["--probe-port", "70000"], "1 to 65535"),
        (["--tls-certificate", str(RENDER)], "--tls-key"),
        (["--tls-certificate", str(RENDER), "--tls-key", "/nowhere.pem"], "PEM"),
        (["--bad-tokens", "0"], "--bad-tokens"),
        (["--gateway-port", "70000"], "1 to 65535"),
        (["--jwks-seconds", "1"], "at least 6"),
        (["--rate-burst", "1"], "--rate-burst"),
        (["--route-timeout", "0"], "--route-timeout"),
        (["--public-url", "api.example.org"], "https://"),
        (["--public-url", "ftp://api.example.org"], "https://"),
        (["--public-url", "https://"], "https://"),
        (["--public-url", "https://ada:secret@api.example.org"], "--public-url"),
        (["--public-url", "https://api.example.org/?a=b"], "--public-url"),
    ],
)
def test_impossible_settings_are_refused_with_advice(tmp_path: Path, wrong: list[str], advice: str) -> None:
    refused = _render(tmp_path / "envoy.yaml", *EMBEDDED, *wrong)
    assert refused.returncode == 2
    assert advice in refused.stderr
    assert not (tmp_path / "envoy.yaml").exists()


@pytest.mark.parametrize("slug", sorted(PROBLEMS))
def test_each_problem_type_has_its_page(client: httpx.Client, slug: str) -> None:
    answer = client.get(f"/problems/{slug}")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in answer.headers["content-security-policy"]
    assert f"/problems/{slug}" in answer.text
    assert "What to do" in answer.text
    shown = html.unescape(answer.text.partition("<pre ")[2].partition(">")[2].partition("</pre>")[0])
    assert json.loads(shown.partition("\n\n")[2]) == PROBLEMS[slug].body


def test_the_index_lists_every_problem_type(client: httpx.Client) -> None:
    text = client.get("/problems/").text
    assert all(f'href="/problems/{slug}"' in text for slug in PROBLEMS)
    assert client.get("/problems/of-another-kind").status_code == 404


def test_the_documentation_needs_nothing_from_elsewhere(client: httpx.Client) -> None:
    page = client.get("/docs")
    assert page.status_code == 200
    assert 'data-document="/v1/openapi.json"' in page.text
    for asset in ("swagger-ui-bundle.js", "swagger-ui.css", "docs.js", "docs.css", "pages.css", "icon.svg"):
        assert f"/assets/{asset}" in page.text
        assert client.get(f"/assets/{asset}").status_code == 200
    assert "http://" not in page.text
    assert "https://" not in page.text
    assert client.head("/docs").status_code == 200
    assert client.get("/").status_code == 200


@pytest.mark.parametrize("path", ["/docs", "/problems/validation", "/v1/booking/openapi.json"])
def test_documents_are_compressed_and_nothing_else(gateway: Gateway, client: httpx.Client, path: str) -> None:
    """An answer with somebody's data is not: its length would tell of what else stands in it."""
    answer = client.get(path, headers={"Accept-Encoding": "gzip"})
    assert (answer.status_code, answer.headers.get("content-encoding")) == (200, "gzip")
    assert "accept-encoding" in answer.headers["vary"].lower()
    assert answer.text == client.get(path, headers={"Accept-Encoding": "identity"}).text
    mine = client.get("/v1/sessions", headers={**gateway.headers("anna"), "Accept-Encoding": "gzip"})
    assert (mine.status_code, mine.headers.get("content-encoding")) == (200, None)


def test_the_documents_of_the_whole_platform_are_served(client: httpx.Client) -> None:
    api = client.get("/v1/openapi.json")
    assert (api.status_code, api.headers["content-type"]) == (200, "application/json")
    assert api.content == OPENAPI.read_bytes()
    events = client.get("/asyncapi.json").json()
    assert events["asyncapi"].startswith("3.")
    for message in list(events["components"]["messages"].values())[::8]:  # fewer than the limit of one address
        if message["payload"]:
            address = urljoin("/asyncapi.json", message["payload"]["schema"]["$ref"])
            schema = client.get(address)
            assert (schema.status_code, schema.headers["content-type"]) == (200, "application/schema+json")
            assert schema.json()["$id"].endswith(address)
            assert message["name"] in address
    assert client.get("/favicon.ico").headers["content-type"] == "image/svg+xml"


def _dataschema(name: str, public_url: str) -> str:
    """As it stands in the record of such an event, published where the gateway has this address."""
    return dict(record_of(EVENT_TYPES[name], public_url).headers)["ce_dataschema"]


def test_each_dataschema_is_served_and_has_that_very_address_as_its_id(tmp_path: Path) -> None:
    """What reads an event fetches its schema by the header, and keeps it under its `$id`."""
    with (
        running_gateway(tmp_path, rate_limit=1000, rate_burst=1000) as running,
        httpx.Client(timeout=20) as anybody,
    ):
        for name in EVENT_TYPES:
            address = _dataschema(name, running.url)
            schema = anybody.get(address)
            assert (schema.status_code, schema.headers["content-type"]) == (200, "application/schema+json"), address
            assert schema.json()["$id"] == address
            assert schema.json()["x-type"] == name


@pytest.mark.parametrize("given", ["https://api.clinic.example", "https://clinic.example/makegood/"])
def test_schemas_and_examples_name_the_address_that_the_gateway_has_for_others(tmp_path: Path, given: str) -> None:
    rendered = _render(tmp_path / "envoy.yaml", *COMPOSE, "--public-url", given)
    assert rendered.returncode == 0, rendered.stderr
    pages = tmp_path / "envoy.yaml.pages"
    for name in EVENT_TYPES:
        schema = json.loads((pages / f"schema-{name}.json").read_text())
        assert schema["$id"] == _dataschema(name, given.rstrip("/"))
    for page in pages.glob("*.json"):
        if page.name != "openapi.json":  # its examples are of an installation of its own
            assert EXAMPLE_BASE_URL not in page.read_text(), page.name


def test_without_one_the_address_is_that_of_this_machine(tmp_path: Path) -> None:
    assert _render(tmp_path / "envoy.yaml", *EMBEDDED).returncode == 0
    (schema, *_) = (tmp_path / "envoy.yaml.pages").glob("schema-*.json")
    assert json.loads(schema.read_text())["$id"].startswith("http://127.0.0.1:18080/schemas/")
