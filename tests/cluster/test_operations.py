"""Operators run the command `makegood` in the cluster, without a checkout."""

from __future__ import annotations

import json

import pytest
from makegood_stack.ports import SERVICES

from .kube import Failed
from .operations import console, run, volume_claim
from .release import Release

pytestmark = pytest.mark.extended


def test_helm_test_asks_every_service_and_leaves_nothing(release: Release) -> None:
    told = release.cluster.helm("test", "makegood", "--timeout=120s")
    assert "Phase:          Succeeded" in told
    with pytest.raises(Failed, match="NotFound"):
        release.cluster.get("pod", "makegood-test")


def test_an_audit_and_a_backup_run_beside_the_services(release: Release) -> None:
    assert "no violations" in run(release.cluster, "audit", "audit-now")
    release.cluster.apply(volume_claim("makegood-backups"))
    assert "is complete: /backups/20" in run(release.cluster, "backup", "backup-now")


def test_a_console_sees_every_process_and_the_backups(release: Release) -> None:
    release.cluster.apply(volume_claim("makegood-backups"))
    with console(release.cluster) as there:
        status = json.loads(release.cluster.kubectl("exec", there, "--", "makegood", "status", "--json"))
        assert status["healthy"], status
        roles = {(each["name"].removeprefix("makegood-").split("-")[0], each["role"]) for each in status["processes"]}
        assert roles >= {(service, role) for service in SERVICES for role in ("serve", "work")}
        told = release.cluster.kubectl("exec", there, "--", "makegood", "topics", "redrive", "credits")
        assert told == "0 dead letters of credits sent again\n"
        with pytest.raises(Failed, match="Read-only file system"):
            release.cluster.kubectl("exec", there, "--", "touch", "/app/here")
