"""The value set for production on a cluster: TLS and logins on every link, and a session that is missed and made good."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from makegood_stack.ports import SERVICES
from makegood_testkit.waiting import eventually

from tests.security.missed_session import missed_session

from .conftest import Figures
from .kube import Cluster, namespace
from .operations import console, run
from .production.release import Production, production

pytestmark = pytest.mark.extended

MISSED = "Your provider missed your scheduled session."
OPERATORS = ("scaledobjects.keda.sh", "httproutes.gateway.networking.k8s.io", "podmonitors.monitoring.coreos.com")


@pytest.fixture(scope="module")
def protected(cluster: Cluster, figures: Figures, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Production]:
    if not cluster.knows(*OPERATORS):
        pytest.skip(f"the cluster lacks definitions of {', '.join(OPERATORS)}")
    name = f"makegood-prod-{secrets.token_hex(3)}"
    folder: Path = tmp_path_factory.mktemp("production")
    made = production(cluster.within(name), folder, os.environ.get("MAKEGOOD_TEST_IMAGE_TAG", "latest"))
    cluster.apply(namespace(name))
    try:
        made.prepare()
        figures["seconds to install the value set for production"] = round(made.install(), 1)
        with made.reachable():
            yield made
        made.cluster.helm("uninstall", "makegood", "--wait", "--timeout=120s")
    finally:
        cluster.kubectl("delete", "namespace", name, "--wait=false")


@pytest.mark.rule("MISS-1", "SEC-7")
async def test_a_missed_session_is_made_good_over_protected_links(protected: Production) -> None:

    async def move(by: timedelta) -> None:
        await asyncio.to_thread(protected.move_clock, by.total_seconds())

    session = await missed_session(lambda role, subject, _: protected.person(role, subject), move)
    assert session["credit"]["state"] == "returned"
    credits = dict((await protected.person("member", "anna").get("/v1/members/anna/credits")).body)
    assert (credits["available"], credits["held"]) == (4, 0)

    def arrived() -> bool:
        mails = protected.outside("mails")
        return any(mail["subject"] == MISSED and "anna@example.org" in mail["to"] for mail in mails)

    await eventually(lambda: asyncio.to_thread(arrived), seconds=60, what="the e-mail")
    await eventually(
        lambda: asyncio.to_thread(lambda: set(protected.outside("traced")) == set(SERVICES)), seconds=60, what="spans"
    )
    assert await asyncio.to_thread(protected.sessions_in_the_clear) == []


def test_keda_reads_the_lag_with_its_own_login(protected: Production) -> None:
    if not protected.cluster.knows("scaledobjects.keda.sh"):
        pytest.skip("no KEDA")
    for service in SERVICES:
        protected.cluster.wait(f"scaledobject/makegood-{service}-work", "condition=Ready", 60)


def test_operators_audit_back_up_and_look(protected: Production) -> None:
    assert "no violations" in run(protected.cluster, "audit", "audit-now")
    assert "is complete: /backups/20" in run(protected.cluster, "backup", "backup-now")
    assert "Phase:          Succeeded" in protected.cluster.helm("test", "makegood", "--timeout=120s")
    with console(protected.cluster) as there:
        status = json.loads(protected.cluster.kubectl("exec", there, "--", "makegood", "status", "--json"))
        assert status["healthy"], status
        # With a login of its own, which may write events.
        told = protected.cluster.kubectl("exec", there, "--", "makegood", "topics", "redrive", "credits")
        assert told == "0 dead letters of credits sent again\n"
        kept = protected.cluster.kubectl("exec", there, "--", "ls", "/backups")
        assert len(kept.split()) == 1
