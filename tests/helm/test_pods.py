"""What the pods may do, how they start and stop, and that the services accept what they are given."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from makegood_chassis.checked_settings import advice
from makegood_chassis.roles import ROLE, roles_of
from makegood_chassis.secret_files import is_secret, variable
from makegood_chassis.settings import ServiceSettings
from makegood_contracts.topics import SERVICES
from makegood_testkit.certificates import Authority
from makegood_testkit.chart import OF_THE_CHART
from makegood_testkit.production import PASSWORD, production_environment
from makegood_testkit.settings_table import SETTINGS
from pydantic import ValidationError

from .conftest import SETS, named, pods

FOLDER = "/etc/makegood/"
VOLUMES = {"name", "projected", "secret", "emptyDir", "persistentVolumeClaim"}
EXPORTER = {"OTEL_EXPORTER_OTLP_CERTIFICATE"}
"""Variables that the exporter of traces reads by itself."""


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod["spec"].get("initContainers", ()), *pod["spec"]["containers"]]


def environment(pod: dict[str, Any]) -> dict[str, str]:
    (container,) = pod["spec"]["containers"]
    return {each["name"]: each["value"] for each in container["env"]}


def role_of(name: str) -> tuple[str, str]:
    service, _, role = name.rpartition("-")
    return service, role


SERVICE_PODS = [(values, name) for values in SETS for name in sorted(pods(values)) if role_of(name)[0] in SERVICES]


@pytest.mark.parametrize("values", SETS)
def test_every_service_has_its_roles_and_the_rest_is_there(values: str) -> None:
    services = {f"{service}-{role}" for service in SERVICES for role in ("serve", "work")}
    assert set(named(values, "Deployment")) == services | {"gateway"}
    jobs = {f"{service}-migrate" for service in SERVICES} | ({"topics"} if values == "small" else set())
    assert set(named(values, "Job")) == jobs
    assert set(named(values, "PodDisruptionBudget")) == services | {"gateway"}
    operations = {"small": {"audit", "console"}, "production": {"audit", "backup", "console"}}
    assert set(named(values, "CronJob")) == operations.get(values, {"audit"})
    assert set(named(values, "Pod")) == {"test"}


@pytest.mark.parametrize("values", SETS)
def test_every_container_has_the_restricted_profile_and_more(values: str) -> None:
    for name, pod in pods(values).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["serviceAccountName"] != "default"
        assert spec["securityContext"].items() >= {"runAsNonRoot": True, "runAsUser": 10001}.items()
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert {kind for volume in spec["volumes"] for kind in volume} <= VOLUMES
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}
            assert "memory" in container["resources"]["limits"]
            assert not any("hostPort" in port for port in container.get("ports", ()))
            writable = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
            assert writable <= {"/tmp", "/gateway"} | ({"/backups"} if name in ("backup", "console") else set())
    for account in named(values, "ServiceAccount").values():
        assert account["automountServiceAccountToken"] is False


@pytest.mark.parametrize(("values", "name"), SERVICE_PODS)
def test_every_variable_is_a_setting_and_no_secret_is_in_the_manifest(values: str, name: str) -> None:
    service, role = role_of(name)
    given = environment(pods(values)[name])
    kind = SETTINGS[service]
    secrets = {name.removesuffix("_FILE") for name, value in given.items() if value.startswith(f"{FOLDER}secrets/")}
    plain = given.keys() - {f"{secret}_FILE" for secret in secrets} - EXPORTER
    known = {variable(field, info): is_secret(info) for field, info in kind.model_fields.items()}
    assert {name: name in secrets for name in plain | secrets}.items() <= known.items()
    fields = {variable(field, info): info for field, info in kind.model_fields.items()}
    assert {secret for secret in secrets if role not in roles_of(fields[secret])} == set()


@pytest.mark.parametrize(("values", "name"), SERVICE_PODS)
def test_the_service_accepts_its_settings(
    values: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With secrets as good as those of an operator, the process of that role would start."""
    service, role = role_of(name)
    pod = pods(values)[name]
    given = mounted(pod, service, tmp_path)
    settings = read(service, role, given, monkeypatch)
    assert settings.environment == ("development" if values == "small" else "production")
    assert OF_THE_CHART - {"MAKEGOOD_MIGRATE"} <= given.keys()
    if role != "migrate":
        grace = pod["spec"]["terminationGracePeriodSeconds"]
        assert settings.stop_timeout + 5 <= grace, "a process must end before it is killed"
        (container,) = pod["spec"]["containers"]
        assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
            **({"http": settings.http_port} if role == "serve" else {}),
            "probes": settings.probes_at,
        }
        probes = [container[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
        assert probes == [{"path": path, "port": "probes"} for path in ("/startupz", "/livez", "/readyz")]


@pytest.mark.parametrize(("values", "name"), [pod for pod in SERVICE_PODS if pod[0] != "small"])
def test_every_secret_that_a_pod_gets_is_one_that_its_process_demands(
    values: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, role = role_of(name)
    given = mounted(pods(values)[name], service, tmp_path)
    secrets = [each for each, value in given.items() if value.startswith(f"{tmp_path}/secrets/")]
    assert secrets
    for secret in secrets:
        without = {each: value for each, value in given.items() if each != secret}
        with pytest.raises(ValidationError) if secret != "REDIS_URL_FILE" else nullcontext() as refused:
            read(service, role, without, monkeypatch)
        if refused is not None:
            told = {line.partition(":")[0] for line in advice(SETTINGS[service], refused.value).splitlines()}
            assert told == {secret.removesuffix("_FILE")}


def mounted(pod: dict[str, Any], service: str, folder: Path) -> dict[str, str]:
    """The pod's variables, with files in `folder` in place of those that it mounts."""
    given = {each: value.replace(FOLDER, f"{folder}/") for each, value in environment(pod).items()}
    authority = Authority(folder / "authority").file
    good = production_environment(service, authority)
    good[f"{service.upper()}_OWNER_DATABASE_URL"] = good[f"{service.upper()}_DATABASE_URL"].replace(
        f"//{service}:", f"//{service}_owner:"
    )
    if given["MAKEGOOD_ENVIRONMENT"] == "development":
        good["REDIS_URL"] = f"redis://makegood:{PASSWORD}@redis:6379/0"
    for volume in pod["spec"]["volumes"]:
        for source in volume.get("projected", {}).get("sources", ()):
            for item in (source.get("secret") or source["configMap"])["items"]:
                path = folder / volume["name"] / item["path"]
                path.parent.mkdir(exist_ok=True)
                path.write_text(good[item["path"]] if volume["name"] == "secrets" else authority.read_text())
    return given


def read(service: str, role: str, given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> ServiceSettings:
    """The settings of a process in this role, in exactly this environment. Raises ValidationError."""
    for each in list(os.environ):
        monkeypatch.delenv(each)
    for each, value in given.items():
        monkeypatch.setenv(each, value)
    token = ROLE.set(role)
    try:
        return SETTINGS[service]()
    finally:
        ROLE.reset(token)


@pytest.mark.parametrize("values", SETS)
@pytest.mark.rule("REL-8")
def test_a_rolling_update_first_adds_a_pod_and_then_takes_one(values: str) -> None:
    for name, deployment in named(values, "Deployment").items():
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxUnavailable": 0, "maxSurge": 1}
        if name.endswith("-serve"):
            assert deployment["spec"]["minReadySeconds"] > 30
    gateway = named(values, "Deployment")["gateway"]["spec"]["template"]["spec"]
    (envoy,) = gateway["containers"]
    drain = int(envoy["lifecycle"]["preStop"]["exec"]["command"][-1].rpartition("sleep ")[2])
    assert 35 < drain < gateway["terminationGracePeriodSeconds"]
    for service in SERVICES:
        spec = named(values, "Service")[service]["spec"]
        assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)


@pytest.mark.parametrize("values", SETS)
def test_the_jobs_run_before_everything_else(values: str) -> None:
    order = {
        name: int(job["metadata"]["annotations"]["helm.sh/hook-weight"]) for name, job in named(values, "Job").items()
    }
    assert all(order.get("topics", -1) < order[f"{service}-migrate"] for service in SERVICES)
    first = named(values, "ServiceAccount")["jobs"]["metadata"]["annotations"]
    assert int(first["helm.sh/hook-weight"]) < min(order.values())
    for job in named(values, "Job").values():
        assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"


def test_work_scales_by_the_topics_it_consumes_and_never_to_zero() -> None:
    scaled = named("production", "ScaledObject")
    assert set(scaled) == {f"{service}-work" for service in SERVICES}
    for name, each in scaled.items():
        spec = each["spec"]
        assert 1 <= spec["minReplicaCount"] < spec["maxReplicaCount"] <= 12
        assert spec["fallback"]["behavior"] == "currentReplicasIfHigher"
        assert "replicas" not in named("production", "Deployment")[name]["spec"]
        for trigger in spec["triggers"]:
            about = trigger["metadata"]
            assert about["consumerGroup"] == name.removesuffix("-work")
            assert (about["offsetResetPolicy"], about["excludePersistentLag"]) == ("latest", "true")
            # KEDA asks from its own namespace, in which a short name is another service's or nobody's.
            assert about["bootstrapServers"] == "makegood-kafka-bootstrap.makegood.svc:9093"
    for name, each in named("production", "HorizontalPodAutoscaler").items():
        assert name.endswith("-serve") or name == "gateway"
        assert "replicas" not in named("production", "Deployment")[name]["spec"]
        assert each["spec"]["minReplicas"] >= 2
        (metric,) = each["spec"]["metrics"]
        assert metric["resource"]["target"] == {"type": "AverageValue", "averageValue": "600m"}
