"""The chart's operations, started by hand as operators do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .kube import Cluster, Failed, Resource


def volume_claim(name: str) -> Resource:
    """A claim for a small volume."""
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": spec}


def run(cluster: Cluster, operation: str, name: str, *, seconds: int = 180) -> str:
    """Runs an operation once, now. Returns what it printed. Fails the test with that if it does not succeed."""
    cluster.kubectl("create", "job", f"--from=cronjob/makegood-{operation}", name)
    try:
        cluster.wait(f"job/{name}", "condition=Complete", seconds)
        return cluster.kubectl("logs", f"job/{name}")
    except Failed as failed:
        selector = f"job-name={name}"
        pytest.fail(f"{failed}\n{cluster.kubectl('logs', '--selector', selector, '--tail=30')}")
    finally:
        cluster.kubectl("delete", "job", name, "--wait=false")


@contextmanager
def console(cluster: Cluster, name: str = "console-test") -> Iterator[str]:
    """A console, as long as the block lasts. Gives what `kubectl exec` calls it."""
    cluster.kubectl("create", "job", "--from=cronjob/makegood-console", name)
    try:
        cluster.wait(f"job/{name}", "jsonpath={.status.ready}=1")
        yield f"job/{name}"
    finally:
        cluster.kubectl("delete", "job", name, "--wait=false")
