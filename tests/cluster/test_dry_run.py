"""A server that knows the operators' resources accepts what the chart renders, for each set of values."""

from __future__ import annotations

from pathlib import Path

import pytest

from .kube import Cluster
from .release import CHART
from .servers import Servers

pytestmark = pytest.mark.extended

OPERATORS = ("scaledobjects.keda.sh", "httproutes.gateway.networking.k8s.io", "podmonitors.monitoring.coreos.com")


@pytest.mark.parametrize("values", sorted(CHART.glob("values-*.yaml")), ids=lambda path: path.stem)
def test_the_server_accepts_every_resource(cluster: Cluster, servers: Servers, values: Path) -> None:
    if not cluster.knows(*OPERATORS):
        pytest.skip(f"the cluster lacks definitions of {', '.join(OPERATORS)}")
    ours = cluster.within(servers.cluster.namespace)
    rendered = ours.helm("template", "makegood", str(CHART), f"--values={values}")
    answers = ours.apply(rendered, dry_run=True).splitlines()
    assert answers
    assert all(answer.endswith("(server dry run)") for answer in answers), answers
