"""A server that knows the operators' resources accepts what the charts render, for each set of values."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from .kube import Cluster
from .servers import ROOT, Servers

pytestmark = pytest.mark.extended

CHARTS = ROOT / "deploy" / "helm"
SETS = sorted(CHARTS.glob("*/values-*.yaml"))
OPERATORS = (
    "scaledobjects.keda.sh",
    "httproutes.gateway.networking.k8s.io",
    "podmonitors.monitoring.coreos.com",
    "kafkas.kafka.strimzi.io",
)
NOT_HAD = ("postgresql.cnpg.io",)
"""Groups whose definitions are in no package registry. Their resources are checked where they are generated."""


@pytest.mark.parametrize("values", SETS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_server_accepts_every_resource(cluster: Cluster, servers: Servers, values: Path) -> None:
    if not cluster.knows(*OPERATORS):
        pytest.skip(f"the cluster lacks definitions of {', '.join(OPERATORS)}")
    ours = cluster.within(servers.cluster.namespace)
    version = json.loads(cluster.kubectl("get", "--raw", "/version"))["gitVersion"]
    # Without the pod of `helm test`, whose account would have to exist.
    words = (f"--values={values}", f"--kube-version={version}", "--skip-tests")
    rendered = ours.helm("template", "candidate", str(values.parent), *words)
    resources = [found for found in yaml.safe_load_all(rendered) if found]
    known = [found for found in resources if found["apiVersion"].partition("/")[0] not in NOT_HAD]
    answers = ours.apply(*known, dry_run=True).splitlines()
    assert len(answers) == len(known) > 0
    assert all(answer.endswith("(server dry run)") for answer in answers), json.dumps(answers, indent=1)
