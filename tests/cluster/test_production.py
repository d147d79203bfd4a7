"""The value set for production on a cluster: TLS and logins on every link, and a session that is missed and made good."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from makegood_stack.ports import SERVICES
from makegood_testkit.platform import ROUND_THE_CLOCK
from makegood_testkit.waiting import eventually

from .conftest import Figures
from .kube import Cluster, namespace
from .operations import console, run
from .production.release import Production, production

pytestmark = pytest.mark.extended

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
    session = await _missed_session(protected)
    assert session["credit"]["state"] == "returned"
    credits = dict((await protected.person("member", "anna").get("/v1/members/anna/credits")).body)
    assert (credits["available"], credits["held"]) == (4, 0)
    told = {"to": "anna@example.org", "subject": "Your provider missed your scheduled session."}

    def arrived() -> bool:
        return told in protected.outside("mails")

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


async def _missed_session(protected: Production) -> dict[str, Any]:
    """Books a session in four days, lets the provider confirm it, and nobody come."""
    schedule = {
        "time_zone": "UTC",
        "weekly": ROUND_THE_CLOCK,
        "minimum_notice_minutes": 0,
        "horizon_days": 365,
        "session_types": [{"length_minutes": 30, "modalities": ["video"]}],
    }
    provider, support = protected.person("provider", "lee"), protected.person("support", "sam")
    member = protected.person("member", "anna")
    await provider.put("/v1/providers/lee/schedule", schedule)
    for person, subject in ((member, "anna"), (provider, "lee")):
        contact = {"name": subject.title(), "email": f"{subject}@example.org", "time_zone": "UTC"}
        await person.put(f"/v1/people/{subject}/contact", contact)
    today = datetime.now(UTC).date().isoformat()
    await support.put("/v1/members/anna/enrolment", {"plan_id": "out-of-pocket-4", "starts_on": today})
    room = await support.post("/v1/rooms", {"member_id": "anna", "provider_id": "lee"})
    start = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) + timedelta(days=4)
    asked = {
        "room_id": room["id"],
        "starts_at": start.isoformat(),
        "length_minutes": 30,
        "modality": "video",
        "time_zone": "UTC",
    }
    booked = await member.post("/v1/sessions", asked, wait=15)
    assert booked["status"] == "reserved", booked
    path = f"/v1/sessions/{booked['id']}"
    await provider.post(f"{path}/confirm")
    ahead = start + timedelta(minutes=11) - datetime.now(UTC)
    await asyncio.to_thread(protected.move_clock, ahead.total_seconds())

    async def ended() -> dict[str, Any] | None:
        session = dict((await member.get(path)).body)
        return session if (session["status"], session["credit"]["state"]) == ("provider_missed", "returned") else None

    found: dict[str, Any] = await eventually(ended, seconds=60, what="the end of the missed session")
    return found
