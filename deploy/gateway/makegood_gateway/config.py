"""The gateway's settings, and the rendering of Envoy's configuration from the one template."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

import jinja2

from makegood_gateway.pages import Page, pages
from makegood_gateway.refusals import IDENTIFIED, REFUSALS
from makegood_gateway.routes import ROUTES, SERVICES, UNLOGGED

ANY_LOCALHOST: Final = r"https?://(?:localhost|127\.0\.0\.1|\[::1\])(?::\d+)?"

# On every answer that does not bring its own; pages of HTML bring another policy.
SECURITY_HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("cross-origin-resource-policy", "cross-origin"),
)

# What a page of another origin may read of an answer, beside what every page may (content-type and the like).
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

# Addresses of people, and headers that services elsewhere take for a proxy's word.
UNTRUSTED_HEADERS: Final = (
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-real-ip",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-makegood-subject",
)

_HERE: Final = Path(__file__).resolve().parent


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address that something listens on. The host may be a name; all of its addresses are used."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `host:port`. ValueError with advice for anything else."""
        host, colon, port = text.strip().rpartition(":")
        if not (colon and host and port.isdigit() and 0 < int(port) < 65536):
            raise ValueError(f"{text!r} is no host:port, as in 127.0.0.1:8101")
        return cls(host, int(port))


@dataclass(frozen=True)
class GatewaySettings:
    """What differs between the forms of running. Durations are seconds.

    `rate_limit`/`rate_burst`: requests a second and at once, per person (by address where no token is asked for).
    `jwks_seconds`: how old the signing keys may get. `trusted_hops`: proxies in front whose X-Forwarded-For counts.
    `connect_tries`: how often a request that reached no service is tried again; nine last about four seconds, which
    outlives the restart of a service's only process.
    """

    services: dict[str, tuple[Endpoint, ...]]
    identity: tuple[Endpoint, ...]
    listen: str = "127.0.0.1"
    gateway_port: int = 8080
    admin_listen: str = "127.0.0.1"
    admin_port: int = 9901
    cors_origins: tuple[str, ...] = (ANY_LOCALHOST,)
    issuer: str = "https://identity.makegood.invalid"
    audience: str = "makegood"
    jwks_seconds: int = 10
    rate_limit: int = 50
    rate_burst: int = 100
    route_timeout: float = 35.0
    connect_tries: int = 9
    trusted_hops: int = 0
    otlp: tuple[Endpoint, ...] | None = field(default=None)

    def __post_init__(self) -> None:
        if set(self.services) != set(SERVICES) or not all(self.services.values()):
            raise ValueError(f"every service needs an address: {', '.join(SERVICES)}")
        if not self.identity:
            raise ValueError("--identity needs an address: without the signing keys nobody can be let in")
        for name in ("gateway_port", "admin_port"):
            if not 0 < getattr(self, name) < 65536:
                raise ValueError(f"--{name.replace('_', '-')} must be a port, 1 to 65535")
        if self.jwks_seconds < 6:
            raise ValueError("--jwks-seconds must be at least 6: Envoy fetches the keys 5 seconds before that")
        if self.rate_limit < 1 or self.rate_burst < self.rate_limit:
            raise ValueError("--rate-limit must be at least 1, and --rate-burst no smaller than it")
        if self.route_timeout <= 0:
            raise ValueError("--route-timeout must be more than 0 seconds")


def render(settings: GatewaySettings, out: Path) -> Path:
    """Writes Envoy's configuration to `out` and the pages it serves to `out`'s neighbour folder `<name>.pages`.

    Envoy reads the pages at its start by their absolute paths, so both must stand where they were written.
    Answers `out`. OSError where it cannot be written.
    """
    out = out.absolute()
    folder = out.with_name(f"{out.name}.pages")
    folder.mkdir(parents=True, exist_ok=True)
    served = [_write(page, folder) for page in pages()]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (YAML, not HTML; every value goes through `json`, which is YAML too)
    )
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    text = environment.get_template("envoy.yaml.j2").render(
        settings=settings,
        clusters={**settings.services, "identity": settings.identity},
        services=SERVICES,
        routes=ROUTES,
        refusals=REFUSALS,
        identified=IDENTIFIED,
        secret_paths=UNLOGGED,
        exposed=", ".join(EXPOSED_HEADERS),
        pages=served,
        security_headers=SECURITY_HEADERS,
        untrusted=UNTRUSTED_HEADERS,
        largest_page=max(len(page.body) for page in pages()),
    )
    temporary = out.with_name(f".{out.name}.new")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(out)
    return out


def _write(page: Page, folder: Path) -> dict[str, object]:
    file = folder / page.file
    file.write_bytes(page.body)
    return {**asdict(page), "body": None, "filename": str(file)}
