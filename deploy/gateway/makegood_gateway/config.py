"""The gateway's settings, and rendering of Envoy's configuration."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import jinja2

from makegood_gateway.pages import Page, pages
from makegood_gateway.refusals import IDENTIFIED, METHODS, REFUSALS
from makegood_gateway.routes import ROUTES, SERVICES, UNLOGGED

KEYS_PATH: Final = "/.well-known/jwks.json"
"""Where an identity provider publishes its keys, unless its whole address is given."""
SYSTEM_AUTHORITIES: Final = "/etc/ssl/certs/ca-certificates.crt"
"""The system's own certificate authorities, in Envoy's image and on Debian."""
ANY_LOCALHOST: Final = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?"

# On every answer without its own policy. HTML pages have another one.
SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "cross-origin"),
)
HSTS: Final = ("strict-transport-security", "max-age=31536000")
"""On every answer over TLS: browsers then use TLS only, for a year."""

ADMIN_PATHS: Final = (r"/ready", r"/stats(?:\?.*)?", r"/stats/prometheus(?:\?.*)?")
DRAIN_PATH: Final = r"/healthcheck/fail"
"""Every answer then asks its client to connect again, and /ready is 503."""
PROBE_PATHS: Final = ("/ready", "/stats/prometheus")

# Response headers that pages of other origins may read, in addition to the safelisted ones such as content-type.
EXPOSED_HEADERS: Final = (
    "allow",
    "etag",
    "idempotent-replayed",
    "link",
    "location",
    "preference-applied",
    "retry-after",
    "www-authenticate",
    "x-request-id",
    "x-ratelimit-limit",
    "x-ratelimit-remaining",
    "x-ratelimit-reset",
)

# People's addresses, and headers that other software trusts as set by a proxy.
UNTRUSTED_HEADERS: Final = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-envoy-external-address",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-makegood-subject",
)

_HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address that something listens on. The host may be a name; all of its addresses are used.

    `probe_port`: the port for probes of the same process, or None.
    """

    host: str
    port: int
    probe_port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses `host:port` or `host:port/probe port`. Raises ValueError with advice for anything else."""
        address, slash, probe = text.strip().partition("/")
        host, colon, port = address.rpartition(":")
        if not (colon and host and _is_port(port) and (_is_port(probe) or not slash)):
            raise ValueError(f"{text!r} is not host:port, as in 127.0.0.1:8101")
        return cls(host, int(port), int(probe) if slash else None)


@dataclass(frozen=True, slots=True)
class WebServer:
    """A server that the gateway asks, with its web address. With `tls`, its certificate must have its name."""

    endpoint: Endpoint
    url: str
    tls: bool = False

    @classmethod
    def parse(cls, text: str, path: str = "") -> Self:
        """Parses an http(s) address, or `host:port`, short for `http://host:port` and `path`. Raises ValueError with advice."""
        url = text if "://" in text else f"http://{text}{path}"
        parts = urlsplit(url)
        if "://" not in text:
            return cls(Endpoint.parse(text), url)
        if not _is_web_address(url):
            raise ValueError(f"{text!r} is not host:port or an address such as https://identity.example.org{path}")
        tls = parts.scheme == "https"
        return cls(Endpoint(parts.hostname or "", parts.port or (443 if tls else 80)), url, tls)


def _is_port(text: str) -> bool:
    return text.isdecimal() and text.isascii() and 0 < int(text) < 65536


@dataclass(frozen=True, slots=True)
class Cluster:
    """The target of one kind of requests.

    `most`: the limit for long-lasting requests; more are refused with 503. `tls_name`: the name in the certificate, if the
    target speaks TLS. `tls_ca`: file of the authorities for it; None: the system's own.
    """

    name: str
    addresses: tuple[Endpoint, ...]
    of_service: bool = True
    most: int | None = None
    tls_name: str = ""
    tls_ca: Path | None = None

    @property
    def san_type(self) -> str:
        """The kind of name in the certificate."""
        return "IP_ADDRESS" if _is_address(self.tls_name) else "DNS"


@dataclass(frozen=True)
class GatewaySettings:
    """The gateway's settings. Durations are in seconds.

    `rate_limit`/`rate_burst`: requests a second and at once, per person (or per address on public paths).
    `bad_tokens`: invalid tokens from one address at once, and again each minute. `most_lasting`: streams at once, and as
    many requests that wait for their outcome. `probe_port`: an additional port for probes and Prometheus only.
    `public_url`: the gateway's public address, where event schemas are served; empty for this machine's.
    `tls_certificate`/`tls_key`: PEM files; with them the gateway only speaks TLS. `jwks_seconds`: how old the signing keys
    may get. `trusted_hops`: proxies in front whose X-Forwarded-For is trusted. `connect_tries`: how often a request that
    reached no service is retried; nine tries last about four seconds, longer than the restart of a service's only process.
    `drainable`: programs on the gateway's own loopback may tell it that it will stop (POST /healthcheck/fail).
    `trace_percent`: requests that begin a trace, of those that come without one; with `otlp` only.
    """

    services: dict[str, tuple[Endpoint, ...]]
    identity: WebServer
    identity_ca: Path | None = None
    listen: str = "127.0.0.1"
    gateway_port: int = 8080
    public_url: str = ""
    admin_listen: str = "127.0.0.1"
    admin_port: int = 9901
    probe_listen: str = "127.0.0.1"
    probe_port: int | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    cors_origins: tuple[str, ...] = (ANY_LOCALHOST,)
    issuer: str = "https://identity.makegood.invalid"
    audience: str = "makegood"
    jwks_seconds: int = 10
    rate_limit: int = 50
    rate_burst: int = 100
    bad_tokens: int = 30
    most_lasting: int = 2048
    route_timeout: float = 35.0
    connect_tries: int = 9
    trusted_hops: int = 0
    otlp: WebServer | None = None
    otlp_ca: Path | None = None
    drainable: bool = False
    trace_percent: float = 100.0

    def __post_init__(self) -> None:
        if set(self.services) != set(SERVICES) or not all(self.services.values()):
            raise ValueError(f"every service needs an address: {', '.join(SERVICES)}")
        for name in ("gateway_port", "admin_port", "probe_port"):
            if not 0 < (getattr(self, name) or 1) < 65536:
                raise ValueError(f"--{name.replace('_', '-')} must be a port, 1 to 65535")
        if self.public_url and not _is_web_address(self.public_url):
            raise ValueError("--public-url must be an address such as https://api.example.org, without login or query")
        if not _is_loopback(self.admin_listen):
            raise ValueError(
                "--admin-listen must be a loopback address; for probes from elsewhere there is --probe-port"
            )
        for service in self.services.values():
            if any(endpoint.probe_port is None for endpoint in service):
                raise ValueError("a service's address tells its probe port, too, as in 127.0.0.1:8101/9101")
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("--tls-certificate and --tls-key belong together: give both or none")
        for file in (self.tls_certificate, self.tls_key, self.identity_ca, self.otlp_ca):
            if file is not None and not file.is_file():
                raise ValueError(f"{file} does not exist: give certificates and keys as PEM files")
        if self.bad_tokens < 1 or self.most_lasting < 1:
            raise ValueError("--bad-tokens and --most-lasting must be at least 1")
        if self.jwks_seconds < 6:
            raise ValueError("--jwks-seconds must be at least 6: Envoy fetches the keys 5 seconds before that")
        if self.rate_limit < 1 or self.rate_burst < self.rate_limit:
            raise ValueError("--rate-limit must be at least 1, and --rate-burst no smaller than it")
        if not 0 <= self.trace_percent <= 100:
            raise ValueError("--trace-percent must be 0 to 100")
        if self.route_timeout <= 0:
            raise ValueError("--route-timeout must be more than 0 seconds")

    @property
    def base_url(self) -> str:
        """The gateway's public address without a trailing slash, with which `ce_dataschema` in events starts."""
        scheme = "https" if self.tls_certificate else "http"
        return self.public_url.rstrip("/") or f"{scheme}://127.0.0.1:{self.gateway_port}"

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """All targets of requests."""
        lasting = {route.cluster(route.waits): route for route in ROUTES if route.streaming or route.waits}
        return (
            *(Cluster(service, addresses) for service, addresses in self.services.items()),
            *(Cluster(name, self.services[route.service], most=self.most_lasting) for name, route in lasting.items()),
            self._server("identity", self.identity, self.identity_ca),
            *((self._server("collector", self.otlp, self.otlp_ca),) if self.otlp else ()),
        )

    @staticmethod
    def _server(name: str, server: WebServer, ca: Path | None) -> Cluster:
        tls_name = server.endpoint.host if server.tls else ""
        return Cluster(name, (server.endpoint,), of_service=False, tls_name=tls_name, tls_ca=ca)

    @property
    def admin_paths(self) -> tuple[str, ...]:
        """The only paths that the admin address answers, as patterns."""
        return (*ADMIN_PATHS, DRAIN_PATH) if self.drainable else ADMIN_PATHS


def _is_web_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    plain = not ("@" in parts.netloc or parts.query or parts.fragment)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and plain


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def render(settings: GatewaySettings, out: Path) -> Path:
    """Writes Envoy's configuration to `out` and the pages it serves to `out`'s neighbour folder `<name>.pages`.

    Envoy reads the pages at its start by their absolute paths, so the files must not be moved. With TLS, a third file says
    where the certificate is. Returns `out`. Raises OSError if it cannot be written.
    """
    out = out.absolute()
    folder = out.with_name(f"{out.name}.pages")
    folder.mkdir(parents=True, exist_ok=True)
    served = [_write(page, folder) for page in pages(settings.base_url)]
    environment = jinja2.Environment(  # YAML - no HTML  # nosec B701
        loader=jinja2.FileSystemLoader(_HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 (YAML, not HTML; every value goes through `json`, which is YAML too)
    )
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    tls_file = out.with_name(f"{out.name}.tls.yaml")
    if settings.tls_certificate and settings.tls_key:
        _replace(tls_file, json.dumps(_tls(settings.tls_certificate.absolute(), settings.tls_key.absolute())))
    text = environment.get_template("envoy.yaml.j2").render(
        settings=settings,
        clusters=settings.clusters,
        system_authorities=SYSTEM_AUTHORITIES,
        tls_file=str(tls_file),
        admin_paths=settings.admin_paths,
        probe_paths=PROBE_PATHS,
        routes=ROUTES,
        refusals=REFUSALS,
        methods=METHODS,
        identified=IDENTIFIED,
        secret_paths=UNLOGGED,
        exposed=", ".join(EXPOSED_HEADERS),
        pages=served,
        security_headers=(*SECURITY_HEADERS, HSTS) if settings.tls_certificate else SECURITY_HEADERS,
        untrusted=UNTRUSTED_HEADERS,
        largest_page=max(len(page.body) for page in pages(settings.base_url)),
    )
    _replace(out, text)
    return out


def _replace(file: Path, text: str) -> None:
    temporary = file.with_name(f".{file.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(file)


def _tls(certificate: Path, key: Path) -> dict[str, object]:
    """Envoy's secret: the paths of the certificate and key, and the folder to watch for their renewal."""
    return {
        "resources": [
            {
                "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
                "name": "gateway",
                "tls_certificate": {
                    "certificate_chain": {"filename": str(certificate)},
                    "private_key": {"filename": str(key)},
                    "watched_directory": {"path": str(certificate.parent)},
                },
            }
        ]
    }


def _write(page: Page, folder: Path) -> dict[str, object]:
    file = folder / page.file
    file.write_bytes(page.body)
    return {**asdict(page), "body": None, "filename": str(file)}
