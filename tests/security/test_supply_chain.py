"""The supply chain: what is in it, what is known of it, and that nothing in it moves unnoticed."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LOCKED = dict(re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", (ROOT / "requirements.lock").read_text(), flags=re.M))


def run(*command: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, timeout=300)


VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
print(JsonStrictValidator(SchemaVersion.V1_6).validate_str(open(sys.argv[1]).read()))
"""


@pytest.fixture(scope="session")
def tools() -> str:
    """The Python of the tools' own environment."""
    made = run("make", "--no-print-directory", "supply-chain-tools")
    assert made.returncode == 0, made.stdout + made.stderr
    return str(ROOT / ".venv" / "supply-chain" / "bin" / "python")


@pytest.mark.slow
def test_the_sbom_is_valid_and_names_every_locked_package_with_its_hashes(tools: str, tmp_path: Path) -> None:
    made = run("make", "--no-print-directory", "sbom", f"SBOM={tmp_path / 'sbom.json'}")
    assert made.returncode == 0, made.stderr
    text = (tmp_path / "sbom.json").read_text()
    assert run(tools, "-W", "ignore", "-c", VALIDATE, str(tmp_path / "sbom.json")).stdout == "None\n"
    bill = json.loads(text)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert {each["name"]: each["version"] for each in bill["components"]} == LOCKED
    assert len(LOCKED) > 100
    for each in bill["components"]:
        hashes = [known for place in each["externalReferences"] for known in place.get("hashes", [])]
        assert hashes, each["name"]
        assert each["purl"] == f"pkg:pypi/{each['name']}@{quote(each['version'])}"
    assert str(ROOT) not in text


@pytest.mark.parametrize(
    "name",
    [
        "requirements.lock",
        "deploy/data-requirements.lock",
        "deploy/supply-chain-requirements.lock",
        "deploy/data-contracts-requirements.lock",
        "deploy/warehouse/requirements.lock",
        "tests/clients/requirements.lock",
        "tests/generated/requirements.lock",
        "tests/helm/requirements.lock",
        "benchmarks/peers/requirements.lock",
    ],
)
def test_the_locks_name_no_registry_and_no_place_of_one_machine(name: str) -> None:
    lock = (ROOT / name).read_text()
    assert not re.findall(
        r"^ *(?:--(?:index|extra-index|find-links|trusted)|-i |-f |-e )|://|file:|(?<![A-Za-z0-9+/=])/[a-z]+/",
        lock,
        flags=re.M,
    )
    entries = re.findall(r"^[A-Za-z0-9].*(?:\n[ \t].*)*", lock, flags=re.M)
    assert [entry.split("==")[0] for entry in entries if "--hash=sha256:" not in entry] == []


@pytest.mark.slow
def test_bandit_finds_nothing(tools: str) -> None:
    """`make lint` runs it too; every exception in the sources names its rule and says why."""
    found = run(tools, "-m", "bandit", "-q", "-c", "pyproject.toml", "-r", "libs", "services", "cli", "deploy")
    assert found.returncode == 0, found.stdout
    sources = [path for folder in ("libs", "services", "cli", "deploy") for path in (ROOT / folder).rglob("*.py")]
    marks = [line for path in sources for line in path.read_text().splitlines() if "# nosec" in line]
    assert marks
    assert [line for line in marks if not re.search(r"\S - \S.*# nosec B\d{3}", line)] == []


# -- known vulnerabilities


@contextmanager
def vulnerability_data(vulnerable: str, *, hangs_up: bool = False) -> Iterator[str]:
    """An API like that of osv.dev, to which one package is vulnerable. `hangs_up`: on whoever asks about a package."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = asked.get("package", {}).get("name")
            if hangs_up and name:
                self.close_connection = True
                return
            body = json.dumps({"vulns": [_vulnerability(name)]} if name == vulnerable else {}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Silence."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        server.server_close()


def _vulnerability(name: str) -> dict[str, Any]:
    ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "99.1"}]}]
    package = {"name": name, "ecosystem": "PyPI"}
    return {
        "id": "PYSEC-2000-1",
        "modified": "2000-01-01T00:00:00Z",
        "summary": "For the test.",
        "affected": [{"package": package, "ranges": ranges}],
    }


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    path = tmp_path / "two.lock"
    path.write_text("".join(f"{name}=={LOCKED[name]} --hash=sha256:{'0' * 64}\n" for name in ("fastapi", "redis")))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("vulnerable", "code", "says"), [("redis", 1, "PYSEC-2000-1"), ("flask", 0, "0 of 2 packages")]
)
def test_a_known_vulnerability_fails_the_build(vulnerable: str, code: int, says: str, tools: str, lock: Path) -> None:
    with vulnerability_data(vulnerable) as url:
        done = run(tools, "deploy/known_vulnerabilities.py", str(lock), "--data", url)
    assert (done.returncode, says in done.stdout) == (code, True), done.stdout + done.stderr
    if code:
        assert f"redis {LOCKED['redis']}" in done.stdout
        assert "99.1" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("silent", [False, True], ids=["closed", "silent"])
def test_without_the_data_the_build_goes_on_and_says_so(silent: bool, tools: str, lock: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        if silent:
            nobody.listen()
        begun = time.monotonic()
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/v1/query"
        done = run(tools, "deploy/known_vulnerabilities.py", str(lock), "--data", url)
    assert done.returncode == 0
    assert "SKIPPED" in done.stdout
    assert time.monotonic() - begun < 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "line", ["fastapi==0.1", "fastapi ==", "-r nowhere.lock"],
    ids=["without a hash", "broken", "of a file that is missing"],
)  # fmt: skip
def test_a_lock_that_cannot_be_examined_fails_the_build(line: str, tools: str, lock: Path) -> None:
    lock.write_text(line + "\n")
    with vulnerability_data("flask") as url:
        done = run(tools, "deploy/known_vulnerabilities.py", str(lock), "--data", url)
    assert (done.returncode, "FAILED" in done.stdout, "SKIPPED" in done.stdout) == (1, True, False), done.stdout


def test_a_tool_that_is_missing_fails_the_build(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip_audit.py").write_text("import a_module_that_is_missing\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with vulnerability_data("flask") as url:
        done = run(sys.executable, "deploy/known_vulnerabilities.py", str(lock), "--data", url)
    assert (done.returncode, "No module named" in done.stdout) == (1, True), done.stdout


@pytest.mark.slow
def test_data_that_go_away_meanwhile_skip_the_examination(tools: str, lock: Path) -> None:
    with vulnerability_data("flask", hangs_up=True) as url:
        done = run(tools, "deploy/known_vulnerabilities.py", str(lock), "--data", url)
    assert (done.returncode, "SKIPPED" in done.stdout) == (0, True), done.stdout


def test_packages_that_were_not_examined_are_told(tmp_path: Path, lock: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that passes over one of the packages, as pip-audit does where a version cannot be read."""
    answer = [{"name": "redis", "skip_reason": "no such version"}, {"name": "flask", "version": "1", "vulns": []}]
    (tmp_path / "pip_audit.py").write_text(f"print({json.dumps({'dependencies': answer})!r})\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with vulnerability_data("flask") as url:
        done = run(sys.executable, "deploy/known_vulnerabilities.py", str(lock), "--data", url)
    assert done.returncode == 0
    assert "redis: not examined (no such version)" in done.stdout
    assert "0 of 1 packages" in done.stdout


def test_ci_asks_for_known_vulnerabilities_and_bandit() -> None:
    makefile, ci = (ROOT / "Makefile").read_text(), (ROOT / ".ci" / "run").read_text()
    assert "known-vulnerabilities" in ci
    assert "bandit" in makefile.partition("\nlint:")[2].partition("\n\n")[0]


# -- images


def _images(text: str) -> list[str]:
    """The images of a Dockerfile or of Kubernetes' manifests and charts."""
    stages = set(re.findall(r"^FROM \S+ AS (\S+)", text, flags=re.M))
    named = re.findall(r"^FROM (\S+)|^\s*(?:- )?image:\s*[\"']?([^\s\"']+)", text, flags=re.M)
    return [image for pair in named for image in pair if image and image not in stages]


def _without_version(images: list[str]) -> list[str]:
    return [image for image in images if not re.search(r":(?!latest$)[\w.-]*\d[\w.-]*(@sha256:\w+)?$", image)]


def test_every_public_image_is_named_by_version() -> None:
    """Images of our own are built beside, so they have none."""
    files = [
        ROOT / "deploy" / "containers" / "Dockerfile",
        ROOT / "docker-compose.yml",
    ]
    images = {image for path in files for image in _images(path.read_text()) if not image.startswith("makegood-")}
    assert len(images) > 4
    assert _without_version(sorted(images)) == []


def _images_of_charts(folder: Path) -> list[str]:
    """Images that the values (`image:`) and templates of charts name. An empty one is chosen by an operator of the cluster."""
    found = []
    for path in sorted(folder.rglob("values*.yaml")):
        found += [image for image in _named(yaml.safe_load(path.read_text()) or {}) if image]
    for path in sorted(folder.rglob("templates/*")):
        found += [image for image in _images(path.read_text()) if not image.startswith("{{")]
    return found


def _named(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        if "repository" in value:
            yield f"{value['repository']}:{value.get('tag', '')}"
        for name, each in value.items():
            yield from _named(each, name)
    elif isinstance(value, list):
        for each in value:
            yield from _named(each, key)
    elif key == "image" and isinstance(value, str):
        yield value


def test_images_of_the_charts_are_named_by_version(tmp_path: Path) -> None:
    """Whoever deploys pins digests (decision 19): `images.digests` for ours, `gateway.image: envoy:v1@sha256:…`."""
    images = _images_of_charts(ROOT / "deploy" / "helm")
    assert images
    assert _without_version(images) == []
    chart = tmp_path / "chart" / "templates"
    chart.mkdir(parents=True)
    (chart.parent / "values.yaml").write_text(
        "jobs: [{image: 'a/b:1@sha256:ab'}, {image: 'c/d'}, {image: ''}, {image: {repository: i/j, tag: latest}}]\n"
    )
    (chart / "job.yaml").write_text("  image: e/f:1.2\n  - image: g/h:latest\n  image: {{ .Values.x }}\n")
    assert _without_version(_images_of_charts(tmp_path)) == ["c/d", "i/j:latest", "g/h:latest"]


def test_every_image_that_the_charts_render_has_a_version() -> None:
    """Also those of our own, whose names the templates put together."""
    goldens = sorted((ROOT / "tests" / "helm").glob("goldens*/*.yaml"))
    images = {image for path in goldens for image in _images(path.read_text())}
    assert sum("makegood-" in image for image in images) >= 5
    assert _without_version(sorted(images)) == []
