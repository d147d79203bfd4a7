"""Maintenance: `python -m makegood_stack.relock` resolves the Java artifacts again and writes `servers.lock.json`.

Run it after changing a version below. The lock contains coordinates, sizes and SHA-256 hashes, but no addresses: those are
a setting of the machine that downloads.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

KAFKA_VERSION = "4.3.0"
POSTGRES_VERSION = "17.6.0"
# The exclamation mark keeps an artifact's own dependencyManagement from overriding the other's versions.
KAFKA = [f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}!", "org.apache.logging.log4j:log4j-slf4j-impl:2.25.3!"]
POSTGRES_PLATFORMS = ["linux-amd64", "linux-arm64v8", "darwin-amd64", "darwin-arm64v8"]
LOCK = Path(__file__).with_name("servers.lock.json")


def _entry(coordinate: str, path: Path) -> dict[str, object]:
    data = path.read_bytes()
    return {"coordinate": coordinate, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def relock() -> dict[str, object]:
    """Resolves all artifacts in a temporary folder and returns the content of the lock."""
    with tempfile.TemporaryDirectory() as folder:
        context = MavenContext(repo_cache=Path(folder), timeout=60)
        inputs, transitive = context.resolver.resolve([context.create_dependency(c) for c in KAFKA])
        kafka = [
            _entry(f"{d.groupId}:{d.artifactId}:{d.version}", d.artifact.resolve())
            for d in [*inputs, *sorted(transitive, key=lambda d: (d.groupId, d.artifactId))]
        ]
        postgres = {}
        for platform in POSTGRES_PLATFORMS:
            coordinate = f"io.zonky.test.postgres:embedded-postgres-binaries-{platform}:{POSTGRES_VERSION}"
            artifact = context.create_dependency(coordinate).artifact
            postgres[platform] = [_entry(coordinate, artifact.resolve())]
    return {
        "kafka": {"version": KAFKA_VERSION, "artifacts": kafka},
        "postgresql": {"version": POSTGRES_VERSION, "artifacts": postgres},
    }


if __name__ == "__main__":
    LOCK.write_text(json.dumps(relock(), indent=1) + "\n")
    sys.stdout.write(f"wrote {LOCK}\n")
