"""Clients that generators make of the published document compile, strictly."""

from __future__ import annotations

from pathlib import Path

import pytest
from makegood_contracts.publishing.places import OPENAPI

from .conftest import run

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
