"""Load from within the cluster, so that it reaches the gateway as other pods do: a service that stays when its pods go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from makegood_testkit.waiting import until

from .kube import Cluster, config_map
from .servers import Servers

SCRIPT = Path(__file__).with_name("load.py")
STOP = "/tmp/stop"
_SECURE = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}


@dataclass
class Load:
    """Clients that run in a pod. `result` is there after the end."""

    cluster: Cluster
    result: dict[str, Any] = field(default_factory=dict)

    def lines(self) -> list[dict[str, Any]]:
        """What the load has said so far, a line a second."""
        said = self.cluster.kubectl("logs", "load").splitlines()
        return [json.loads(line) for line in said if line.startswith("{")]

    def answered(self) -> int:
        """How many requests have been answered so far."""
        lines = self.lines()
        return int(lines[-1]["requests"]) if lines else 0

    def phase(self) -> str:
        return str(self.cluster.get("pod", "load")["status"]["phase"])

    def until_more(self, requests: int = 100) -> None:
        """Waits for so many further answers."""
        wanted = self.answered() + requests
        until(lambda: self.answered() >= wanted, seconds=180, what=f"{requests} more answers")


@contextmanager
def load(servers: Servers, gateway: str, clients: int) -> Iterator[Load]:
    """Runs `clients` against the gateway's address meanwhile. Yields once requests are answered."""
    running = Load(servers.cluster)
    command = ["python", "-u", "/load/load.py", gateway, "/identity", str(clients), STOP]
    mounts = [("load", "/load"), ("identity", "/identity"), ("tmp", "/tmp")]
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "load",
                "image": servers.tools_image,
                "imagePullPolicy": "IfNotPresent",
                "command": command,
                "securityContext": _SECURE,
                "resources": {"requests": {"cpu": "50m", "memory": "96Mi"}, "limits": {"memory": "512Mi"}},
                "volumeMounts": [{"name": name, "mountPath": path} for name, path in mounts],
            }
        ],
        "volumes": [
            {"name": "load", "configMap": {"name": "load"}},
            {"name": "identity", "secret": {"secretName": "identity", "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "load"}, "spec": spec}
    servers.cluster.apply(config_map("load", {SCRIPT.name: SCRIPT.read_text()}), pod)
    try:
        servers.cluster.wait("pod/load", "condition=Ready")
        until(lambda: running.answered() > 0 or running.phase() == "Failed", seconds=120, what="the first answers")
        yield running
        servers.cluster.kubectl("exec", "load", "--", "touch", STOP)
        until(lambda: running.phase() in ("Succeeded", "Failed"), seconds=60, what="the end of the load")
        assert running.phase() == "Succeeded", servers.cluster.kubectl("logs", "load")[-3000:]
        running.result = running.lines()[-1]
    finally:
        servers.cluster.kubectl("delete", "pod", "load", "--now")
