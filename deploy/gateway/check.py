"""Asks every service through the gateway, as a client without a token. Exits with 0 if all of them answer as they should.

    python deploy/gateway/check.py http://makegood-gateway:80 [--certificate tls.crt] [--seconds 60]

It sends reading requests only: each service's description, which is public, and one request that needs a token.
"""

from __future__ import annotations

import argparse
import http.client
import ssl
import sys
import time
from urllib.parse import urlsplit

from makegood_contracts.topics import SERVICES

EXPECTED = {f"/v1/{service}/openapi.json": 200 for service in SERVICES} | {"/v1/policies/current": 401}
_PAUSE = 1.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask every service through the gateway.")
    parser.add_argument("url", help="the gateway's address")
    parser.add_argument("--certificate", help="PEM file of the certificate that the gateway must show")
    parser.add_argument("--seconds", type=float, default=60, help="how long to wait for the answers")
    asked = parser.parse_args()
    end = time.monotonic() + asked.seconds
    while True:
        answers = {path: ask(asked.url, path, asked.certificate) for path in EXPECTED}
        wrong = {path: answer for path, answer in answers.items() if answer != str(EXPECTED[path])}
        if not wrong or time.monotonic() > end:
            break
        time.sleep(_PAUSE)
    for path, answer in answers.items():
        sys.stdout.write(f"GET {path}: {answer}, {'not ' if path in wrong else ''}as it should be\n")
    return 1 if wrong else 0


def ask(url: str, path: str, certificate: str | None = None) -> str:
    """The status of the answer, or why there is none."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        connection = http.client.HTTPSConnection(host, port, timeout=10, context=_only(certificate))
    else:
        connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", path)
        return str(connection.getresponse().status)
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({error})"
    finally:
        connection.close()


def _only(certificate: str | None) -> ssl.SSLContext:
    """Trusts this certificate, whatever its name and whoever signed it; without one, those of the system's authorities."""
    context = ssl.create_default_context(cafile=certificate)
    if certificate:
        context.check_hostname = False
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


if __name__ == "__main__":
    sys.exit(main())
