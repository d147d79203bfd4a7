"""What is open to whom: ports, the gateway's administration, Redis, probes, and what a container may do."""

from __future__ import annotations

import asyncio
import json
import re
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import yaml
from makegood_stack.embedded import EmbeddedServers, Server
from makegood_stack.ports import LISTEN, SERVICES, free_port
from makegood_stack.processes import Supervisor
from makegood_testkit.platform import Platform
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError

_ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(_ROOT / "tests" / "gateway"), str(_ROOT / "deploy" / "gateway")]

from gateway_harness import Gateway, running_gateway  # noqa: E402

pytestmark = pytest.mark.rule("SEC-2")

PROBES = ("/livez", "/readyz", "/startupz", "/metrics")


# -- the gateway's administration


@pytest.fixture(scope="module")
def probe_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, probe_port: int) -> Iterator[Gateway]:
    with running_gateway(tmp_path_factory.mktemp("exposed"), probe_port=probe_port) as running:
        yield running


@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
@pytest.mark.parametrize(
    "path",
    [
        "/quitquitquit",
        "/healthcheck/fail",
        "/drain_listeners",
        "/logging?level=trace",
        "/reset_counters",
        "/runtime_modify?a=b",
        "/stats/recentlookups/enable",
        "/cpuprofiler?enable=y",
        "/config_dump",
        "/clusters",
        "/certs",
        "/listeners",
        "/server_info",
        "/memory",
        "/help",
        "/",
        "/stats/../config_dump",
        "//config_dump",
        "/ready/../quitquitquit",
    ],
)
def test_nothing_is_changed_or_told_by_the_gateway_s_administration(gateway: Gateway, method: str, path: str) -> None:
    """Beside readiness and statistics."""
    assert httpx.request(method, httpx.URL(gateway.admin + path)).status_code == 403
    assert httpx.get(f"{gateway.admin}/ready").text == "LIVE\n"


def test_whoever_probes_from_elsewhere_sees_readiness_and_metrics_alone(gateway: Gateway, probe_port: int) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{probe_port}") as client:
        assert client.get("/ready").text == "LIVE\n"
        assert "envoy_http_downstream_rq_total" in client.get("/stats/prometheus").text
        assert client.post("/ready").status_code == 404
        for path in ("/stats", "/config_dump", "/quitquitquit", "/", "/ready/", "/stats/prometheus/../../config_dump"):
            assert client.request("POST", path).status_code == 404
            assert client.get(path).status_code == 404


# -- Redis


@pytest.fixture(scope="module")
def redis() -> Iterator[Server]:
    with EmbeddedServers() as servers:
        yield servers.redis()


async def test_redis_lets_nobody_in_without_its_password(redis: Server) -> None:
    for address in (
        f"redis://{LISTEN}:{redis.port}/0",
        f"redis://:guessed@{LISTEN}:{redis.port}/0",
        f"redis://makegood:guessed@{LISTEN}:{redis.port}/0",
        f"redis://default:@{LISTEN}:{redis.port}/0",
    ):
        client = Redis.from_url(address)
        with pytest.raises(AuthenticationError):
            await client.ping()
        await client.aclose()


async def test_the_platform_s_login_to_redis_wakes_others_and_does_nothing_else(redis: Server) -> None:
    client = Redis.from_url(redis.url)
    assert await client.ping()
    async with client.pubsub() as subscription:
        await subscription.subscribe("makegood:booking:signals")
        assert (await subscription.get_message(timeout=30))["type"] == "subscribe"
        assert await client.publish("makegood:booking:signals", "x") == 1
    async with client.pipeline() as pipeline:
        pipeline.zadd("makegood:notifications:signals:streams:m1", {"s1": 1.0})
        pipeline.zrange("makegood:notifications:signals:streams:m1", 0, -1)
        pipeline.expire("makegood:notifications:signals:streams:m1", 60)
        assert (await pipeline.execute())[1:] == [[b"s1"], True]
    for words in (
        "CONFIG GET dir",
        "CONFIG SET dir /tmp",
        "FLUSHALL",
        "KEYS *",
        "GET makegood:a",
        "SET makegood:a b",
        "ZADD other 1 a",
        "EVAL return(1) 0",
        "DEBUG SLEEP 0",
        "SHUTDOWN NOSAVE",
        "REPLICAOF 127.0.0.1 1",
        "MODULE LIST",
        "ACL LIST",
        "CLIENT LIST",
        "MONITOR",
        "SAVE",
        "PUBLISH other x",
        "SUBSCRIBE other",
        "PSUBSCRIBE *",
    ):
        with pytest.raises(NoPermissionError):
            await client.execute_command(*words.split())  # type: ignore[no-untyped-call]
    await client.aclose()


def test_redis_s_password_is_in_a_file_of_its_owner_and_in_no_command_line(redis: Server) -> None:
    assert redis.record is not None
    process = psutil.Process(redis.record.pid)
    word = redis.url.split(":")[2].split("@")[0]
    assert len(word) >= 32
    folder = Path(process.cwd())
    assert (folder / "password").read_text() == word
    assert word not in " ".join(process.cmdline())
    assert word not in (folder / "redis.conf").read_text()
    for name in ("password", "redis.conf"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600
    assert {c.laddr.ip for c in process.net_connections() if c.status == psutil.CONN_LISTEN} == {LISTEN}


# -- the platform on one machine


async def test_probes_and_metrics_are_on_a_port_of_their_own(platform: Platform) -> None:
    """Nobody who can send requests can read metrics, at a service or through the gateway."""
    async with httpx.AsyncClient() as client:
        for number, service in enumerate(SERVICES):
            serving, probing = platform.stack.ports_of(platform.stack.processes(service)[0]).values()
            assert probing - serving == 1000, number
            for path in PROBES:
                assert (await client.get(f"http://{LISTEN}:{serving}{path}")).status_code == 404
                assert (await client.get(f"http://{LISTEN}:{probing}{path}")).status_code == 200
                assert (await client.get(f"{platform.stack.base_url}{path}")).status_code == 404
            document = f"/v1/{service}/openapi.json"
            assert (await client.get(f"http://{LISTEN}:{serving}{document}")).status_code == 200
            assert (await client.get(f"http://{LISTEN}:{probing}{document}")).status_code == 404


async def test_every_server_of_the_platform_listens_on_the_loopback_alone(platform: Platform) -> None:
    running = Supervisor(platform.home).running()
    assert set(SERVICES) <= set(running)

    def listening() -> dict[str, set[str]]:
        found = {}
        for name, record in running.items():
            process = psutil.Process(record.pid)
            every = [c for one in (process, *process.children(recursive=True)) for c in one.net_connections("inet")]
            found[name] = {c.laddr.ip for c in every if c.status == psutil.CONN_LISTEN}
        return found

    assert set().union(*(await asyncio.to_thread(listening)).values()) <= {LISTEN, "::1", f"::ffff:{LISTEN}"}


# -- containers

COMPOSE: dict[str, Any] = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())
CONTAINERS: dict[str, Any] = COMPOSE["services"]
_AS_IMAGE = re.compile(r"makegood-")
"""Our own images say themselves that they run as user 10001 (tests/gateway/test_containers.py)."""


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_has_no_privilege_and_bounds(name: str) -> None:
    container = CONTAINERS[name]
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["read_only"] is True
    assert re.fullmatch(r"[1-9]\d*[mg]", container["mem_limit"])
    assert 0 < container["pids_limit"] <= 512
    assert not {"privileged", "devices", "pid", "ipc"} & set(container)
    assert not [volume for volume in container.get("volumes", ()) if "docker.sock" in volume]
    if name in ("identity", "passwords"):
        # They give files to the person whose checkout it is, and reach nobody.
        assert container["network_mode"] == "none"
        assert container["cap_add"] == ["CHOWN", "DAC_OVERRIDE", "FOWNER"]
        return
    assert "cap_add" not in container
    user = str(container.get("user", ""))
    assert user.partition(":")[0] not in ("0", "root")
    # Kafka's image runs as its own user, ours as 10001.
    assert user or _AS_IMAGE.match(container["image"]) or container["image"].startswith("apache/kafka")


def test_ports_are_published_on_the_loopback_and_never_those_of_probes() -> None:
    published = [port for container in CONTAINERS.values() for port in container.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    # The gateway's one for probes shows readiness and metrics; its administration is on the container's own loopback.
    assert not [port for port in published if port.endswith((":9101", ":9102", ":9103", ":9104", ":9901"))]
    assert not [word for word in CONTAINERS["gateway-config"]["command"] if word.startswith("--admin-listen")]


def test_no_password_stands_in_the_file() -> None:
    text = (_ROOT / "docker-compose.yml").read_text()
    assert not re.search(r"://[^\s/:@]+:[^\s/@]+@", text), "an address with a password"
    assert not re.search(r"PASSWORD[\"']?\s*[:=]?\s*['\"]?(?!\"?\$)\w", text)


def test_each_container_sees_the_passwords_that_it_uses_and_no_others() -> None:
    mounted = {
        name: [
            v.split("/secrets/", 1)[1].split(":")[0] for v in container.get("volumes", ()) if ".makegood/secrets" in v
        ]
        for name, container in CONTAINERS.items()
    }
    expected = {name: [name] for name in ("postgres", "redis", "cli", *SERVICES)} | {"databases": ["postgres"]}
    expected |= {f"migrate-{service}": [f"migrate-{service}"] for service in SERVICES}
    assert {name: found for name, found in mounted.items() if found} == expected
    whole = {
        name for name, c in CONTAINERS.items() if any(v.endswith(".makegood:/state") for v in c.get("volumes", ()))
    }
    assert whole == {"identity", "passwords"}


def test_each_login_has_a_password_of_its_own_that_stays(tmp_path: Path) -> None:
    person = tmp_path / "person"
    person.touch()
    command = [sys.executable, str(_ROOT / "deploy/containers/make_passwords.py")]
    arguments = [str(tmp_path / "state"), str(person), str(person.stat().st_gid)]

    def logins() -> dict[str, str]:
        subprocess.run([*command, *arguments], check=True, capture_output=True)
        return dict(json.loads((tmp_path / "state/secrets/logins.json").read_text()))

    first = logins()
    assert set(first) == {"postgres", "makegood"} | {
        f"{service}{job}" for service in SERVICES for job in ("", "_owner", "_pruner", "_auditor")
    }
    assert len(set(first.values())) == len(first)
    assert min(map(len, first.values())) >= 32
    assert logins() == first
    folder = tmp_path / "state/secrets"
    assert stat.S_IMODE((folder / "logins.json").stat().st_mode) == 0o600
    for path in folder.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o027 == 0, path
    for service in SERVICES:
        seen = "".join(file.read_text() for file in (folder / service).iterdir())
        assert first[service] in seen
        assert first[f"{service}_owner"] not in seen
        assert first["postgres"] not in seen
        assert not [other for other in SERVICES if other != service and first[other] in seen]
