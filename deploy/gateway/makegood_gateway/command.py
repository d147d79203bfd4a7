"""The command line of `render.py`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from makegood_gateway.config import KEYS_PATH, Endpoint, GatewaySettings, WebServer, render
from makegood_gateway.routes import SERVICES


def _endpoints(text: str) -> tuple[Endpoint, ...]:
    try:
        return tuple(Endpoint.parse(part) for part in text.split(","))
    except ValueError as wrong:
        raise argparse.ArgumentTypeError(str(wrong)) from None


def _server(path: str = "") -> Callable[[str], WebServer]:
    def parse(text: str) -> WebServer:
        try:
            return WebServer.parse(text, path)
        except ValueError as wrong:
            raise argparse.ArgumentTypeError(str(wrong)) from None

    return parse


def _server_if_any(text: str) -> WebServer | None:
    return _server()(text) if text else None


def _parser() -> argparse.ArgumentParser:
    known = GatewaySettings
    parser = argparse.ArgumentParser(
        prog="render.py", description="Writes the gateway's Envoy configuration and, beside it, the pages it serves."
    )
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="where to write the configuration")
    for service in SERVICES:
        parser.add_argument(
            f"--{service}",
            type=_endpoints,
            required=True,
            metavar="HOST:PORT/PROBE_PORT[,…]",
            help=f"where {service} listens, and answers probes; a host may be a name with several addresses",
        )
    parser.add_argument(
        "--identity",
        type=_server(KEYS_PATH),
        required=True,
        metavar="URL",
        help="JWKS_URL of the services: where the keys are that sign access tokens; HOST:PORT is short for "
        f"http://HOST:PORT{KEYS_PATH}",
    )
    parser.add_argument(
        "--identity-ca",
        type=Path,
        metavar="FILE",
        help="PEM file of the certificate authorities for it (default: the system's own)",
    )
    parser.add_argument("--listen", default=known.listen, help="address of the gateway (default %(default)s)")
    parser.add_argument("--gateway-port", type=int, default=known.gateway_port, help="default %(default)s")
    parser.add_argument(
        "--public-url",
        default=known.public_url,
        metavar="URL",
        help="PUBLIC_BASE_URL of the services: the gateway's address as others see it, in the schemas that it serves "
        "(default: this machine and --gateway-port)",
    )
    parser.add_argument(
        "--admin-listen", default=known.admin_listen, help="loopback address of Envoy's admin page (%(default)s)"
    )
    parser.add_argument("--admin-port", type=int, default=known.admin_port, help="default %(default)s")
    parser.add_argument("--probe-listen", default=known.probe_listen, help="address for probes (default %(default)s)")
    parser.add_argument("--probe-port", type=int, help="port for /ready and /stats/prometheus only (default: none)")
    parser.add_argument(
        "--tls-certificate", type=Path, metavar="FILE", help="certificate chain, PEM; the gateway then speaks TLS only"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key, PEM")
    parser.add_argument(
        "--cors-origin",
        action="append",
        metavar="REGEX",
        help="an origin whose pages may call the API, as a full-match RE2 pattern; repeatable (default: any port of localhost)",
    )
    parser.add_argument("--issuer", default=known.issuer, help="`iss` of access tokens (default %(default)s)")
    parser.add_argument("--audience", default=known.audience, help="`aud` of access tokens (default %(default)s)")
    parser.add_argument(
        "--jwks-seconds",
        type=int,
        default=known.jwks_seconds,
        help="how old the signing keys may be; publish a new key this long before its first use (default %(default)s)",
    )
    parser.add_argument("--rate-limit", type=int, default=known.rate_limit, help="requests a second (%(default)s)")
    parser.add_argument("--rate-burst", type=int, default=known.rate_burst, help="requests at once (%(default)s)")
    parser.add_argument(
        "--bad-tokens",
        type=int,
        default=known.bad_tokens,
        help="invalid tokens a minute from one address (%(default)s)",
    )
    parser.add_argument(
        "--most-lasting",
        type=int,
        default=known.most_lasting,
        help="streams at once, and as many waiting requests (%(default)s)",
    )
    parser.add_argument("--route-timeout", type=float, default=known.route_timeout, help="seconds (%(default)s)")
    parser.add_argument(
        "--trusted-hops", type=int, default=known.trusted_hops, help="trusted proxies in front (default %(default)s)"
    )
    parser.add_argument(
        "--otlp",
        type=_server_if_any,
        metavar="URL",
        help="OTEL_EXPORTER_OTLP_ENDPOINT of the services: OpenTelemetry collector (OTLP over HTTP); or HOST:PORT; empty: none",
    )
    parser.add_argument(
        "--otlp-ca", type=Path, metavar="FILE", help="PEM file of the certificate authorities for it (as above)"
    )
    parser.add_argument(
        "--drainable",
        action="store_true",
        help="let programs on the loopback prepare the gateway's stop: POST /healthcheck/fail to the admin port",
    )
    parser.add_argument(
        "--trace-percent",
        type=float,
        default=known.trace_percent,
        help="requests that begin a trace, of those whose client has none (default %(default)s)",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Renders as the arguments say. Exits with 0, or with 2 and advice if a value is not possible."""
    given = vars(_parser().parse_args(arguments))
    out: Path = given.pop("out")
    services = {service: given.pop(service) for service in SERVICES}
    origins = given.pop("cors_origin")
    if origins:
        given["cors_origins"] = tuple(origins)
    try:
        render(GatewaySettings(services=services, **given), out)
    except ValueError as wrong:
        sys.stderr.write(f"render.py: {wrong}\n")
        return 2
    return 0
