"""kubectl and helm against the cluster of the tests."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Resource = Mapping[str, Any]


class Failed(Exception):
    """A command failed. The message has what it wrote."""


@dataclass(frozen=True)
class Cluster:
    """A cluster, and one namespace in it (empty: what belongs to none)."""

    kubeconfig: Path
    namespace: str = ""
    environment: dict[str, str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "environment", {**os.environ, "KUBECONFIG": str(self.kubeconfig)})

    def within(self, namespace: str) -> Cluster:
        return Cluster(self.kubeconfig, namespace)

    def _command(self, program: str, words: Sequence[str]) -> list[str]:
        found = shutil.which(program)
        if found is None:
            raise Failed(f"{program} is not in PATH")
        return [found, *(["--namespace", self.namespace] if self.namespace else []), *words]

    def run(self, program: str, *words: str, given: str | None = None, seconds: float = 300) -> str:
        """Runs `kubectl` or `helm`, with `given` as its standard input. Returns what it printed. Raises Failed."""
        done = subprocess.run(
            self._command(program, words),
            env=self.environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        if done.returncode:
            raise Failed(f"{program} {' '.join(words[:6])}: {(done.stderr or done.stdout).strip()[-3000:]}")
        return done.stdout

    def kubectl(self, *words: str, given: str | None = None, seconds: float = 300) -> str:
        return self.run("kubectl", *words, given=given, seconds=seconds)

    def helm(self, *words: str, seconds: float = 600) -> str:
        return self.run("helm", *words, seconds=seconds)

    def get(self, kind: str, name: str = "", *words: str) -> Any:
        """A resource, or the items of a list without a name."""
        found = json.loads(self.kubectl("get", kind, *([name] if name else []), *words, "--output", "json"))
        return found if name else found["items"]

    def knows(self, *kinds: str) -> bool:
        """Whether the cluster has definitions of these kinds of resources, such as `scaledobjects.keda.sh`."""
        words = self.kubectl("get", "customresourcedefinitions", "--output", "name").split()
        return {f"customresourcedefinition.apiextensions.k8s.io/{kind}" for kind in kinds} <= set(words)

    def apply(self, *resources: Resource | str, dry_run: bool = False) -> str:
        """Applies resources, or YAML. `dry_run`: the server only checks them."""
        lists = [text for text in resources if isinstance(text, str)]
        lists += [json.dumps(resource) for resource in resources if not isinstance(resource, str)]
        words = ["--dry-run=server"] if dry_run else []
        return self.kubectl("apply", "--server-side", *words, "--filename", "-", given="\n---\n".join(lists))

    def wait(self, what: str, condition: str, seconds: int = 180) -> None:
        """Waits for a condition such as `condition=Ready`."""
        self.kubectl("wait", what, f"--for={condition}", f"--timeout={seconds}s", seconds=seconds + 30)

    def rolled_out(self, *names: str, seconds: int = 240) -> None:
        """Waits until the newest version of these Deployments or StatefulSets runs."""
        for name in names:
            self.kubectl("rollout", "status", name, f"--timeout={seconds}s", seconds=seconds + 30)

    def start(self, program: str, *words: str) -> subprocess.Popen[bytes]:
        """Starts `kubectl` or `helm` in the background, without output."""
        command = self._command(program, words)
        return subprocess.Popen(command, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def connects(port: int) -> bool:
    """Whether something listens on the port of this machine."""
    with socket.socket() as attempt:
        attempt.settimeout(1)
        return attempt.connect_ex(("127.0.0.1", port)) == 0


def secret(name: str, values: Mapping[str, str]) -> Resource:
    """A Secret with these values."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": dict(values)}


def config_map(name: str, values: Mapping[str, str]) -> Resource:
    """A ConfigMap with these values."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": dict(values)}


def namespace(name: str) -> Resource:
    """A Namespace with the strictest level of Pod Security."""
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
