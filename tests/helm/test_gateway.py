"""The gateway's pod renders a configuration that Envoy accepts, in which it finds the services by their names."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from makegood_contracts.topics import SERVICES
from makegood_testkit.certificates import Authority
from makegood_testkit.chart import ROOT

from .conftest import SETS, named, pods


@pytest.mark.parametrize("values", SETS)
def test_envoy_accepts_what_the_init_container_writes(values: str, tmp_path: Path) -> None:
    pod = pods(values)["gateway"]["spec"]
    (init,), (envoy,) = pod["initContainers"], pod["containers"]
    (tmp_path / "authority").mkdir()
    for volume in pod["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            for item in (source.get("secret") or source["configMap"])["items"]:
                (tmp_path / item["path"]).write_text(Authority(tmp_path / "authority").file.read_text())
    command = [
        word.replace("/etc/makegood/files", str(tmp_path)).replace("/gateway/", f"{tmp_path}/")
        if word.startswith("--")
        else word
        for word in init["command"]
    ]
    assert command[0] == "python"
    subprocess.run([sys.executable, *command[1:]], cwd=ROOT, check=True)
    out = tmp_path / "envoy.yaml"
    assert envoy["args"][:2] == ["-c", "/gateway/envoy.yaml"]
    found = importlib.util.find_spec("envoy")
    assert found is not None
    assert found.origin is not None
    binary = Path(found.origin).parent / "_bin" / "envoy"
    checked = subprocess.run([binary, "-c", out, "--mode", "validate"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    written = yaml.load(out.read_text(), Loader=yaml.CSafeLoader)
    clusters = {cluster["name"]: cluster for cluster in written["static_resources"]["clusters"]}
    for service in SERVICES:
        (endpoint,) = clusters[service]["load_assignment"]["endpoints"][0]["lb_endpoints"]
        address = endpoint["endpoint"]["address"]["socket_address"]
        ports = {port["name"]: port["port"] for port in named(values, "Service")[service]["spec"]["ports"]}
        assert (address["address"], address["port_value"]) == (f"makegood-{service}", ports["http"])
        assert endpoint["endpoint"]["health_check_config"]["port_value"] == ports["probes"]
    listening = {
        listener["name"]: listener["address"]["socket_address"]["port_value"]
        for listener in written["static_resources"]["listeners"]
    }
    assert listening == {port["name"]: port["containerPort"] for port in envoy["ports"]}
