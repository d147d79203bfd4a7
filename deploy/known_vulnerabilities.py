"""Lists known vulnerabilities of the locked packages (pip-audit with data from osv.dev).

`python deploy/known_vulnerabilities.py [LOCK] [--data URL]`. Exits with 1 if there are any, or if the lock could not be
examined. If the data cannot be reached, it says so and exits with 0, so that builds work without a network. It takes at most
five minutes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Final

_DATA: Final = "https://api.osv.dev/v1/query"
_PROBE_SECONDS: Final = 10
_SECONDS: Final = 280
_NETWORK: Final = re.compile(
    r"^requests\.exceptions\.(\w*Timeout|ConnectionError|ProxyError|SSLError|ChunkedEncodingError)\b"
    r"|your network may be blocking this service"
)
"""Last lines of pip-audit that mean that the connection to the data was lost."""


class Unreachable(Exception):
    """The data cannot be reached; the message says why."""


class NotExamined(Exception):
    """The lock could not be examined, although the data can be reached."""


def unreachable(url: str) -> str:
    """Why `url` does not answer; empty if it answers anything at all."""
    told: list[str] = []
    # In a thread that is left behind: no time-out holds for the look-up of a name.
    asking = threading.Thread(target=lambda: told.append(_try(url)), daemon=True)
    asking.start()
    asking.join(_PROBE_SECONDS + 2)
    return told[0] if told else "no answer"


def _try(url: str) -> str:
    question = urllib.request.Request(url, data=b"{}", headers={"Content-Type": "application/json"})  # noqa: S310 - ours
    try:
        urllib.request.urlopen(question, timeout=_PROBE_SECONDS).close()  # noqa: S310 - the caller's  # nosec B310
    except urllib.error.HTTPError:
        return ""
    except (OSError, ValueError) as error:
        return type(error).__name__
    return ""


def ask(lock: Path, url: str) -> list[dict[str, Any]]:
    """pip-audit's findings for each package. Raises Unreachable or NotExamined."""
    if why := unreachable(url):
        raise Unreachable(why)
    tool = [sys.executable, "-m", "pip_audit", "--requirement", str(lock), "--disable-pip", "--require-hashes"]
    options = ["--vulnerability-service", "osv", "--osv-url", url, "--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run([*tool, *options], capture_output=True, text=True, check=False, timeout=_SECONDS)  # noqa: S603
        return list(json.loads(done.stdout)["dependencies"])
    except subprocess.TimeoutExpired:
        raise Unreachable(f"no answer to all questions in {_SECONDS} s") from None
    except (ValueError, KeyError):
        why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise (Unreachable if _NETWORK.search(why) else NotExamined)(why) from None


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("lock", nargs="?", type=Path, default=Path("requirements.lock"))
    options.add_argument("--data", default=_DATA, help="address of an API like that of osv.dev")
    given = options.parse_args()
    try:
        answers = ask(given.lock, given.data)
    except Unreachable as why:
        sys.stdout.write(f"known vulnerabilities: SKIPPED, the data at {given.data} cannot be reached ({why})\n")
        return 0
    except NotExamined as why:
        sys.stdout.write(f"known vulnerabilities: FAILED, {given.lock} could not be examined ({why})\n")
        return 1
    if not answers:
        sys.stdout.write(f"known vulnerabilities: FAILED, {given.lock} lists no packages\n")
        return 1
    for package in answers:
        if "skip_reason" in package:
            sys.stdout.write(f"{package['name']}: not examined ({package['skip_reason']})\n")
    found = [package for package in answers if "skip_reason" not in package]
    bad = [package for package in found if package.get("vulns")]
    for package in bad:
        for each in package["vulns"]:
            fixed = ", ".join(each.get("fix_versions", [])) or "nothing yet"
            sys.stdout.write(f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}\n")
    sys.stdout.write(f"known vulnerabilities: {len(bad)} of {len(found)} packages have some\n")
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
