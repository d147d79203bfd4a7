"""A release of the chart, on the servers of the tests."""

from __future__ import annotations

import base64
import json
import secrets
import string
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from makegood_devtools.join_key import join_key_file, make_join_key
from makegood_stack.ports import SERVICES
from makegood_testkit.waiting import until

from .kube import Cluster, secret
from .servers import ROOT, Servers

CHART = ROOT / "deploy" / "helm" / "makegood"
SMALL = CHART / "values-small.yaml"
VALUES = Path(__file__).with_name("values.yaml")

_OURS = "app.kubernetes.io/instance=makegood"


@dataclass(frozen=True)
class Release:
    """The chart, installed under the name `makegood` beside the servers."""

    servers: Servers
    values: Path
    """A file of values, written by `prepare`."""

    @property
    def cluster(self) -> Cluster:
        return self.servers.cluster

    @property
    def scales_by_lag(self) -> bool:
        """Whether the cluster has KEDA."""
        return Cluster(self.cluster.kubeconfig).knows("scaledobjects.keda.sh")

    def prepare(self) -> None:
        """Makes the secrets that the values name, and the file of values."""
        make_join_key(self.servers.home.join_links)
        join_key = join_key_file(self.servers.home.join_links).read_text()
        data_keys = f"test:{base64.b64encode(secrets.token_bytes(32)).decode()}"
        self.cluster.apply(secret("makegood-shared", {"data-keys": data_keys}))
        for service in SERVICES:
            url = self.servers.database_url
            values = {
                "database-url": url(service),
                "owner-database-url": url(service, "owner"),
                "pruner-database-url": url(service, "pruner"),
                "auditor-database-url": url(service, "auditor"),
                "redis-url": self.servers.redis_url,
                "event-signing-key": self.servers.event_signing_key(service),
                "join-link-key": join_key,
            }
            self.cluster.apply(secret(f"makegood-{service}", values))
        names = {
            "TAG": self.servers.tag,
            "GATEWAY_URL": f"http://127.0.0.1:{self.servers.ports.of('gateway')}",
            "MAIL_URL": f"http://127.0.0.1:{self.servers.ports.of('mail')}",
        }
        self.values.write_text(string.Template(VALUES.read_text()).substitute(names))

    def install(self, *words: str, wait: int = 300) -> float:
        """Installs or upgrades, and waits until everything runs. Returns the seconds it took. Raises Failed."""
        began = time.monotonic()
        if not self.scales_by_lag:
            words = ("--set=services.credits.work.autoscaling.enabled=false", *words)
        self.cluster.helm(
            "upgrade",
            "--install",
            "makegood",
            str(CHART),
            f"--values={SMALL}",
            f"--values={self.values}",
            *words,
            "--wait",
            "--wait-for-jobs",
            f"--timeout={wait}s",
            seconds=6 * wait,  # each hook may wait as long as the rest
        )
        return time.monotonic() - began

    def reachable(self) -> None:
        """Returns when requests through the gateway's port on this machine reach every service."""
        url = f"http://127.0.0.1:{self.servers.ports.of('gateway')}"

        def answers() -> bool:
            try:
                return all(httpx.get(f"{url}/v1/{s}/openapi.json", trust_env=False).is_success for s in SERVICES)
            except httpx.TransportError:
                return False

        until(answers, seconds=60, what="answers through the gateway")

    def uninstall(self) -> None:
        """Uninstalls, and returns when nothing of it runs any more."""
        self.cluster.helm("uninstall", "makegood", "--wait", "--timeout=120s")
        until(lambda: not self.leftovers(), seconds=90, what="the end of the release's resources")

    def leftovers(self) -> list[str]:
        """The names of resources of the release that exist."""
        kinds = (
            "deployments,jobs,pods,services,serviceaccounts,configmaps,secrets,networkpolicies,poddisruptionbudgets,"
        )
        kinds += "horizontalpodautoscalers,scaledobjects"
        found = self.cluster.kubectl("get", kinds, "--selector", _OURS, "--output", "name")
        return found.split()

    def revision(self) -> int:
        """The number of the installed revision."""
        return int(json.loads(self.cluster.helm("status", "makegood", "--output", "json"))["version"])

    def roll_back(self, revision: int) -> float:
        """Goes back to a revision, and waits until everything runs. Returns the seconds it took."""
        began = time.monotonic()
        self.cluster.helm("rollback", "makegood", str(revision), "--wait", "--wait-for-jobs", "--timeout=300s")
        return time.monotonic() - began

    @property
    def gateway(self) -> str:
        """The gateway, as other pods of the namespace reach it."""
        return "http://makegood-gateway"

    def named(self, component: str) -> str:
        """The name of a component's Deployment, budget and scaler."""
        return f"makegood-{component}"

    def pods(self, component: str = "") -> list[dict[str, Any]]:
        """The pods of a component, or of all, without those that are stopping and those of jobs."""
        selector = _OURS + (f",app.kubernetes.io/component={component}" if component else "")
        found = self.cluster.get("pods", "", "--selector", selector)
        return [
            pod
            for pod in found
            if "deletionTimestamp" not in pod["metadata"]
            and any(owner["kind"] == "ReplicaSet" for owner in pod["metadata"].get("ownerReferences", []))
        ]

    def existing(self) -> set[str]:
        """The names of all pods, with those that are stopping."""
        return {pod["metadata"]["name"] for pod in self.cluster.get("pods", "", "--selector", _OURS)}

    def unsettled(self) -> list[str]:
        """The Deployments that do not run with as many ready pods of their newest version as they are to have."""
        found = self.cluster.get("deployments", "", "--selector", _OURS)
        return [deployment["metadata"]["name"] for deployment in found if not _is_settled(deployment)]

    def ready(self, component: str, count: int, *, seconds: float = 180) -> list[dict[str, Any]]:
        """The pods of a component, once so many of them are ready and no others are left."""
        found: list[dict[str, Any]] = []

        def all_ready() -> bool:
            found[:] = self.pods(component)
            return len(found) == count and all(map(_is_ready, found))

        until(all_ready, seconds=seconds, what=f"{count} ready pods of {component}")
        return found

    def count_ready(self, component: str) -> int:
        """How many pods of a component are ready now."""
        return sum(map(_is_ready, self.pods(component)))

    def replicas(self, component: str) -> int:
        """How many pods the component's Deployment is to have."""
        return int(self.cluster.get("deployment", self.named(component))["spec"]["replicas"])


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod["status"].get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _is_settled(deployment: dict[str, Any]) -> bool:
    wanted, status = deployment["spec"]["replicas"], deployment["status"]
    counts = (status.get("updatedReplicas", 0), status.get("readyReplicas", 0), status.get("replicas", 0))
    return counts == (wanted, wanted, wanted)
