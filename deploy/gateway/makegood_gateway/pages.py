"""The pages the gateway serves itself: the index, the API's documentation, and one page for each problem type."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

import jinja2
from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.problems import PROBLEMS, ProblemType
from makegood_contracts.publishing import asyncapi
from makegood_contracts.publishing.places import ASYNCAPI_PATH, OPENAPI, OPENAPI_PATH, SCHEMAS_PATH
from makegood_contracts.publishing.schemas import schema_of
from markupsafe import Markup, escape

from makegood_gateway.routes import SERVICES

HTML: Final = "text/html; charset=utf-8"
JSON: Final = "application/json"
SCHEMA: Final = "application/schema+json"
_ASSETS: Final = Path(__file__).resolve().parent / "assets"
_MEDIA: Final = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}

# Nothing from anywhere else. Swagger UI sets style attributes and draws its icons from data: addresses.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self' data:; style-src 'self'{style}; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PLAIN_POLICY: Final = _POLICY.format(style="")
DOCS_POLICY: Final = _POLICY.format(style=" 'unsafe-inline'")


@dataclass(frozen=True, slots=True)
class Page:
    """One page: its addresses, the file it is kept in, and what it is."""

    paths: tuple[str, ...]
    file: str
    media_type: str
    body: bytes
    policy: str = PLAIN_POLICY
    max_age: int = 300


def _code(text: str) -> Markup:
    """Text with `code` marked as in the sources."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just here  # nosec B704


def _example(problem: ProblemType) -> str:
    return json.dumps(problem.body, indent=2, ensure_ascii=False)


def _asset(name: str) -> Page:
    return Page((f"/assets/{name}",), name, _MEDIA[Path(name).suffix], (_ASSETS / name).read_bytes())


def _documents(public_url: str) -> tuple[Page, ...]:
    """What machines read: the API of all services, the events, and a schema for each event."""
    schemas = {name: schema_of(kind, public_url) for name, kind in sorted(EVENT_TYPES.items())}
    return (
        Page((OPENAPI_PATH,), "openapi.json", JSON, OPENAPI.read_bytes()),
        Page((ASYNCAPI_PATH,), "asyncapi.json", JSON, _json(asyncapi.document(public_url))),
        *(
            Page((f"{SCHEMAS_PATH}/{name}.json",), f"schema-{name}.json", SCHEMA, _json(schema))
            for name, schema in schemas.items()
        ),
    )


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False).encode()


def _swagger(name: str) -> Page:
    """Swagger UI (Apache-2.0), as the package `fastapi-swagger` ships it."""
    body = resources.files("fastapi_swagger").joinpath("resources", name).read_bytes()
    return Page((f"/assets/{name}",), name, _MEDIA[Path(name).suffix], body, max_age=86400)


@cache
def pages(public_url: str) -> tuple[Page, ...]:
    """Every page, read and filled in once. `public_url`: the gateway's address for others, without a slash at the end."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_ASSETS), undefined=jinja2.StrictUndefined, autoescape=True, trim_blocks=True
    )
    environment.filters["code"] = _code

    def html(template: str, **values: object) -> bytes:
        return (
            environment.get_template(template)
            .render(services=SERVICES, openapi=OPENAPI_PATH, asyncapi=ASYNCAPI_PATH, **values)
            .encode()
        )

    problems = sorted(PROBLEMS.values(), key=lambda problem: (problem.status, problem.slug))
    return (
        Page(("/",), "index.html", HTML, html("index.html.j2")),
        Page(("/docs", "/docs/"), "docs.html", HTML, html("docs.html.j2"), DOCS_POLICY),
        Page(("/problems", "/problems/"), "problems.html", HTML, html("problems.html.j2", problems=problems)),
        *(
            Page(
                (problem.uri,),
                f"problem-{problem.slug}.html",
                HTML,
                html("problem.html.j2", problem=problem, example=_example(problem)),
            )
            for problem in problems
        ),
        *_documents(public_url),
        Page(("/favicon.ico",), "favicon.svg", _MEDIA[".svg"], (_ASSETS / "icon.svg").read_bytes()),
        _asset("pages.css"),
        _asset("docs.js"),
        _asset("docs.css"),
        _asset("icon.svg"),
        _swagger("swagger-ui-bundle.js"),
        _swagger("swagger-ui.css"),
    )
