"""Clients that generators make of the published document compile, strictly."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from makegood_contracts.publishing.places import OPENAPI

from .conftest import HERE, program, run

_USE = """import type { components, operations } from "./api.js";
type Session = components["schemas"]["SessionView"];
export const status: Session["status"] = "confirmed";
export const modality: components["schemas"]["Modality"] = "video";
export type Booked = operations["bookSession"]["responses"][201]["content"]["application/json"];
export type Appointment = operations["readAppointment"]["responses"][200]["content"]["application/fhir+json"];
export const told = (event: components["schemas"]["StreamEvent"]): string =>
  event.event === "session.changed" ? event.data.session_id : event.event;
"""


@pytest.mark.slow
def test_a_typescript_client_compiles_strictly(node: Path, tmp_path: Path) -> None:
    programs = node / "node_modules" / ".bin"
    run(programs / "openapi-typescript", OPENAPI, "-o", tmp_path / "api.ts", cwd=node)
    (tmp_path / "use.ts").write_text(_USE)
    options = ("--strict", "--noEmit", "--module", "nodenext", "--target", "es2022")
    run(programs / "tsc", *options, tmp_path / "use.ts", tmp_path / "api.ts", cwd=node)


@pytest.mark.slow
def test_a_python_client_type_checks_strictly(python_tools: Path, tmp_path: Path) -> None:
    client = tmp_path / "makegood_client"
    generate = ("generate", "--meta", "none", "--fail-on-warning", "--config", HERE / "python-client.yaml")
    run(python_tools / "openapi-python-client", *generate, "--path", OPENAPI, "--output-path", client)
    use = tmp_path / "use.py"
    use.write_text(
        "from makegood_client.api.sessions.book_session import sync_detailed\n"
        "from makegood_client.models import SessionStatus, SessionView\n"
        "def confirmed(session: SessionView) -> bool:\n"
        "    return session.status is SessionStatus.CONFIRMED and session.starts_at.tzinfo is not None\n"
        "print(sync_detailed.__name__)\n"
    )
    assert run(python_tools / "python", use, cwd=tmp_path) == "sync_detailed\n"
    run(python_tools / "python", "-m", "compileall", "-q", client)
    mypy = Path(sys.executable).with_name("mypy")
    own = ("--config-file", "", "--cache-dir", tmp_path / "cache", "--python-executable", python_tools / "python")
    run(mypy, "--follow-imports=silent", *own, use, cwd=tmp_path)


@pytest.mark.slow
def test_a_java_client_compiles(jars: list[Path], tmp_path: Path) -> None:
    java = program("java", wanted="Java 17 or newer")
    javac = program("javac", wanted="a JDK, 17 or newer")
    generator, *needed = jars
    options = "hideGenerationTimestamp=true,openApiNullable=false,useJakartaEe=true"
    generate = ("generate", "-g", "java", "--library", "native", "--additional-properties", options)
    run(java, "-jar", generator, *generate, "-i", OPENAPI, "-o", tmp_path)
    sources = sorted((tmp_path / "src" / "main").rglob("*.java"))
    assert any(source.name == "SessionsApi.java" for source in sources)
    path = os.pathsep.join(map(str, needed))
    run(javac, "-proc:none", "-nowarn", "-d", tmp_path / "classes", "-cp", path, *sources)
