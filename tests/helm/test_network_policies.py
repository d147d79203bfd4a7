"""The network policies allow the edges in this table, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from makegood_contracts.topics import SERVICES

from .conftest import SETS, named, pods

PORTS = dict(zip(SERVICES, (1, 2, 3, 4), strict=True))
DNS = {"kube-system:53"}
# (component, who may call it, what it may call) with the values for production
SERVE = {"makegood-postgresql:5432", "redis:6379", "monitoring:4318", "anywhere:443"}
WORK = {"makegood-postgresql:5432", "makegood-kafka:9093", "redis:6379", "monitoring:4318"}
TABLE = [
    (
        "gateway",
        {"gateways:8080", "test:8080", "monitoring:9902"},
        {*(f"{service}-serve:{base}{end}" for service, end in PORTS.items() for base in ("810", "910"))}
        | {"anywhere:443", "monitoring:4318"},
    ),
    *(
        (f"{service}-serve", {f"gateway:810{end}", f"gateway:910{end}", f"monitoring:910{end}"}, SERVE)
        for service, end in PORTS.items()
    ),
    ("booking-work", {"monitoring:9101"}, WORK),
    ("availability-work", {"monitoring:9102"}, WORK),
    ("credits-work", {"monitoring:9103"}, WORK | {"anywhere:443"}),  # Stripe
    ("notifications-work", {"monitoring:9104"}, WORK | {"anywhere:587"}),  # the mail server
    *((f"{service}-migrate", set(), {"makegood-postgresql:5432"}) for service in SERVICES),
    *((name, set(), {"makegood-postgresql:5432", "makegood-kafka:9093"}) for name in ("audit", "backup", "console")),
    ("test", set(), {"gateway:8080"}),
]


def _peer(peer: dict[str, Any]) -> str:
    if "podSelector" in peer and "namespaceSelector" not in peer:
        labels = peer["podSelector"]["matchLabels"]
        return str(labels.get("app.kubernetes.io/component") or next(iter(labels.values())))
    return str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])


def edges(rules: list[dict[str, Any]], way: str) -> set[str]:
    """`who:port` for each rule."""
    return {
        f"{who}:{port['port']}"
        for rule in rules
        for port in rule["ports"]
        for who in (map(_peer, rule[way]) if way in rule else ["anywhere"])
    }


@pytest.mark.parametrize(("component", "callers", "called"), TABLE, ids=[row[0] for row in TABLE])
def test_a_component_has_its_edges_and_no_other(component: str, callers: set[str], called: set[str]) -> None:
    spec = named("production", "NetworkPolicy")[component]["spec"]
    assert spec["policyTypes"] == ["Ingress", "Egress"]
    assert edges(spec.get("ingress", []), "from") == callers
    assert edges(spec["egress"], "to") == called | DNS


@pytest.mark.parametrize("values", SETS)
def test_every_pod_has_exactly_one_policy(values: str) -> None:
    policies = named(values, "NetworkPolicy")
    assert set(policies) == set(pods(values))
    for name, pod in pods(values).items():
        labels = pod["metadata"]["labels"].items()
        chosen = [
            other
            for other, policy in policies.items()
            if policy["spec"]["podSelector"]["matchLabels"].items() <= labels
        ]
        assert chosen == [name]


@pytest.mark.parametrize("values", SETS)
def test_the_policies_of_jobs_exist_while_they_run(values: str) -> None:
    for name in named(values, "Job"):
        about = named(values, "NetworkPolicy")[name]["metadata"]["annotations"]
        assert about["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_what_is_outside_the_cluster_is_reached_at_its_port_only() -> None:
    for policy in named("everything-external", "NetworkPolicy").values():
        for rule in policy["spec"]["egress"]:
            assert rule["ports"]
            assert all(
                port["port"] in {53, 443, 465, 5432, 6380, 9093} or port["port"] // 1000 in {8, 9}
                for port in rule["ports"]
            )
