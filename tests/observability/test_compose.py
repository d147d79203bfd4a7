"""The Compose profile `observability`: what it mounts is there, and fits together."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from makegood_observability.series import GATEWAY, SERVICES

ROOT = Path(__file__).parents[2]
HERE = ROOT / "deploy" / "observability"


def _read(path: str) -> Any:
    return yaml.safe_load((HERE / path).read_text())


class _ByRole(yaml.SafeLoader):
    """Knows Compose's tags."""


_ByRole.add_multi_constructor("!", lambda _loader, _tag, _node: None)


@pytest.fixture(scope="module")
def composed() -> dict[str, Any]:
    """The services of the profile, as Compose understands them."""
    if shutil.which("docker") is None:
        pytest.skip("docker compose is needed to read the file")
    command = ["docker", "compose", "--profile", "observability", "config", "--format", "json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if "is not a docker command" in done.stderr or "unknown flag" in done.stderr:
        pytest.skip("docker compose is needed to read the file")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout)["services"])


def test_everything_that_is_mounted_exists_and_nothing_is_open_to_the_network(composed: dict[str, Any]) -> None:
    for name in ("prometheus", "grafana", "collector"):
        container = composed[name]
        assert container["profiles"] == ["observability"]
        assert container["read_only"]
        for mounted in container.get("volumes", ()):
            assert mounted["type"] == "volume" or Path(mounted["source"]).exists(), mounted
        for port in container.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1"


@pytest.mark.usefixtures("prometheus_installed")
def test_prometheus_accepts_its_configuration() -> None:
    command = ["promtool", "check", "config", str(HERE / "prometheus" / "prometheus.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_reads_every_service_under_its_name() -> None:
    jobs = {job["job_name"] for job in _read("prometheus/prometheus.yaml")["scrape_configs"]}
    assert {*SERVICES, GATEWAY} <= jobs


def test_prometheus_finds_the_workers_of_services_in_two_roles() -> None:
    roles = yaml.load((ROOT / "deploy" / "containers" / "by-role.yml").read_text(), _ByRole)["services"]
    jobs = {job["job_name"]: job for job in _read("prometheus/prometheus.yaml")["scrape_configs"]}
    for service in SERVICES:
        found = {name for discovery in jobs[service]["dns_sd_configs"] for name in discovery["names"]}
        assert found == {service, f"{service}-work"}
        assert roles[f"{service}-serve"]["networks"]["default"]["aliases"] == [service]
        assert f"{service}-work" in roles


def test_grafana_finds_its_dashboards_and_prometheus(composed: dict[str, Any]) -> None:
    mounted = {volume["target"]: Path(volume["source"]) for volume in composed["grafana"]["volumes"]}
    place = _read("grafana/provisioning/dashboards/makegood.yaml")["providers"][0]["options"]["path"]
    assert {path.suffix for path in mounted[place].iterdir()} == {".json"}
    home = composed["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert (mounted[place] / Path(home).relative_to(place)).is_file()
    source = _read("grafana/provisioning/datasources/prometheus.yaml")["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    assert source["type"] == "prometheus"


def test_the_collectors_pipelines_name_what_it_has() -> None:
    collector = _read("collector.yaml")
    kinds = ("receivers", "processors", "exporters", "connectors")
    for pipeline in collector["service"]["pipelines"].values():
        for kind in ("receivers", "processors", "exporters"):
            assert set(pipeline.get(kind, ())) <= set(collector[kind]) | set(collector["connectors"])
    used = {
        name for pipeline in collector["service"]["pipelines"].values() for names in pipeline.values() for name in names
    }
    assert used == {name for kind in kinds for name in collector[kind]}
