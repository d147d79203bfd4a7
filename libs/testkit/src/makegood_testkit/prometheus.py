"""A real Prometheus that scrapes a platform of the tests every second. Needs Debian's package `prometheus`."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import yaml
from makegood_stack.ports import LISTEN, PROBES_ABOVE, SERVICES, free_port

from makegood_testkit.platform import Platform
from makegood_testkit.waiting import until

SERVER = "prometheus"
TOOL = "promtool"
MISSING = "Prometheus is not installed: apt-get install --no-install-recommends prometheus"


def installed() -> bool:
    """Whether Prometheus and promtool are on this machine."""
    return shutil.which(SERVER) is not None and shutil.which(TOOL) is not None


def check_rules(files: Iterable[Path]) -> str:
    """What promtool says about the rule files. Raises AssertionError if it finds a fault."""
    command = [TOOL, "check", "rules", *map(str, files)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def targets(platform: Platform) -> dict[str, str]:
    """Where the metrics of the platform's parts are: name of the job → address and path."""
    ports = platform.stack.ports
    found = {service: f"{LISTEN}:{ports.of(service) + PROBES_ABOVE}/metrics" for service in SERVICES}
    return {**found, "gateway": f"{LISTEN}:{ports.of('gateway_admin')}/stats/prometheus"}


class Prometheus:
    """A server of its own, with its data in `folder`. A context manager.

    `targets`: address and path by job. `rules`: the text of rule files. Scrapes and evaluates every second.
    """

    def __init__(self, folder: Path, targets: Mapping[str, str], rules: Sequence[str] = ()) -> None:
        self._folder = folder
        self._targets = dict(targets)
        self._rules = list(rules)
        self._process: subprocess.Popen[bytes] | None = None
        port = free_port()
        self._address = f"{LISTEN}:{port}"
        self._http = httpx.Client(base_url=f"http://{self._address}", trust_env=False, timeout=30)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write()
        command = [
            SERVER,
            f"--config.file={self._folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self._address}",
            "--web.enable-lifecycle",
            "--log.level=warn",
        ]
        with (self._folder / "prometheus.log").open("wb") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - our own command
        until(self._ready, seconds=60, what="Prometheus")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)

    def _ready(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._folder / "prometheus.log").read_text()
        try:
            return self._http.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False

    def _write(self) -> None:
        names = []
        for number, text in enumerate(self._rules):
            name = self._folder / f"rules-{number}.yaml"
            name.write_text(text)
            names.append(str(name))
        jobs = []
        for job, target in self._targets.items():
            address, _, path = target.partition("/")
            jobs.append(
                {
                    "job_name": job,
                    "metrics_path": f"/{path}",
                    "static_configs": [{"targets": [address] if address else []}],
                },
            )
        every = {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"}
        text = yaml.safe_dump({"global": every, "rule_files": names, "scrape_configs": jobs})
        (self._folder / "prometheus.yaml").write_text(text)

    def forget(self, job: str) -> None:
        """Stops scraping a job, as if nothing announced its targets any more."""
        self._targets[job] = ""  # without the job itself, Prometheus would go on for minutes with what it last saw
        self._write()
        self._http.post("/-/reload").raise_for_status()

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an instant query. Raises AssertionError with what is wrong about the expression."""
        answer = self._http.get("/api/v1/query", params={"query": expression})
        assert answer.status_code == 200, f"{expression}\n{answer.text}"
        result = answer.json()["data"]["result"]
        return list(result) if isinstance(result, list) else []

    def value(self, expression: str) -> float | None:
        """The largest value of an instant query, or None if it returns nothing."""
        values = [float(series["value"][1]) for series in self.query(expression)]
        return max(values, default=None)

    def alerts(self) -> dict[str, list[dict[str, str]]]:
        """The labels of all firing alerts, by the alert's name."""
        found: dict[str, list[dict[str, str]]] = {}
        for alert in self._http.get("/api/v1/alerts").raise_for_status().json()["data"]["alerts"]:
            if alert["state"] == "firing":
                found.setdefault(alert["labels"]["alertname"], []).append(alert["labels"])
        return found

    def rules(self) -> list[dict[str, Any]]:
        """All rules, with their health and last error."""
        groups = self._http.get("/api/v1/rules").raise_for_status().json()["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


def hastened(expression: str, seconds: float) -> str:
    """The expression with each minute of a range or offset made `seconds`, so that a test need not wait for minutes."""
    return re.sub(r"(\[|offset )(\d+)m", lambda found: f"{found[1]}{int(float(found[2]) * seconds)}s", expression)
