"""What `helm test` runs: it believes only the certificate that it was given, and says what is wrong."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from makegood_contracts.topics import SERVICES
from makegood_stack.ports import free_port
from makegood_testkit.certificates import Authority
from makegood_testkit.tls import documents

CHECK = Path(__file__).parents[2] / "deploy" / "gateway" / "check.py"


def check(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CHECK), *words, "--seconds", "0"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_it_fails_if_nobody_answers_and_says_so() -> None:
    done = check(f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stdout.count("no answer") == len(SERVICES) + 1


def test_it_believes_its_certificate_alone(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    shown, other = authority.issue("gateway"), authority.issue("other")
    described = {f"/v1/{service}/openapi.json": b"{}" for service in SERVICES}
    with documents(described, shown) as url:
        good, bad = (check(url, f"--certificate={each.certificate}") for each in (shown, other))
    for service in SERVICES:
        assert f"GET /v1/{service}/openapi.json: 200, as it should be" in good.stdout
        assert f"GET /v1/{service}/openapi.json: no answer" in bad.stdout
    # It is no gateway, so it does not ask for a token.
    assert "GET /v1/policies/current: 404, not as it should be" in good.stdout
    assert (good.returncode, bad.returncode) == (1, 1)
