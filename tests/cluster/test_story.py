"""A release on a cluster does what the platform promises, and Kubernetes holds it to its own promises."""

from __future__ import annotations

import asyncio
import io
import json
from typing import Any

import pytest
from makegood_cli.demo.screen import Screen
from makegood_cli.demo.stage import Stage
from makegood_cli.demo.stories import tell
from makegood_testkit.platform import Platform
from makegood_testkit.waiting import until
from rich.console import Console

from .kube import Failed
from .release import Release

pytestmark = pytest.mark.extended


@pytest.mark.rule("MISS-1")
async def test_a_missed_session_is_made_good_on_the_cluster(platform: Platform) -> None:
    told = io.StringIO()
    await tell(
        "provider-missed",
        Stage(
            gateway=platform.gateway,
            bootstrap=platform.stack.kafka,
            topic_prefix=platform.topic_prefix,
            mail_url=platform.stack.mail_url,
            screen=Screen(Console(file=told, width=200)),
            clock_now=platform.now,
            advance_to=platform.advance_to,
            first_booking=lambda: None,
        ),
    )
    assert "provider_missed, credit returned" in told.getvalue()
    assert await asyncio.to_thread(platform.audit) == []


def test_the_namespace_refuses_what_is_not_restricted_and_runs_the_release(release: Release) -> None:
    pods = release.pods()
    assert pods
    assert all(pod["status"]["phase"] == "Running" for pod in pods)
    container = {"name": "intruder", "image": "redis:7-bookworm"}
    intruder = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "intruder"},
        "spec": {"containers": [container]},
    }
    with pytest.raises(Failed, match='violates PodSecurity "restricted'):
        release.cluster.apply(intruder, dry_run=True)


def test_no_pod_can_talk_to_kubernetes(release: Release) -> None:
    for pod in release.pods():
        mounted = [m["mountPath"] for c in pod["spec"]["containers"] for m in c.get("volumeMounts", [])]
        assert not [path for path in mounted if "serviceaccount" in path], pod["metadata"]["name"]


def test_a_second_pod_of_a_component_is_not_evicted_before_the_first_is_replaced(release: Release) -> None:
    first, second = (pod["metadata"]["name"] for pod in release.ready("booking-serve", 2))
    evict(release, first)
    with pytest.raises(Failed, match="violate the pod's disruption budget"):
        evict(release, second)
    assert second in {pod["metadata"]["name"] for pod in release.ready("booking-serve", 2)}


def evict(release: Release, pod: str) -> None:
    """Asks for a pod's eviction, as `kubectl drain` does. Raises Failed if a budget refuses it."""
    body = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": release.cluster.namespace},
    }
    path = f"/api/v1/namespaces/{release.cluster.namespace}/pods/{pod}/eviction"
    release.cluster.kubectl("create", "--raw", path, "--filename", "-", given=json.dumps(body))


def test_autoscaling_of_what_serves_sees_its_processor_time(release: Release) -> None:
    def utilization() -> Any:
        scaler = release.cluster.get("horizontalpodautoscaler", release.named("booking-serve"))
        metrics = scaler["status"].get("currentMetrics") or []
        return [metric["resource"]["current"].get("averageValue") for metric in metrics if "resource" in metric]

    until(
        lambda: [seen for seen in utilization() if seen is not None], seconds=180, what="the processor time of booking"
    )
