"""Every page that people see, judged by axe-core in Chromium: nothing is found, and no script fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from makegood_contracts.problems import PROBLEMS
from makegood_credits.api import dev_checkouts
from makegood_credits.store.payments import Checkout
from makegood_devtools.mailbox import Mail, Mailbox
from makegood_devtools.web import web_app
from makegood_plans.plans import Money
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route

from .conftest import HERE, ROOT, run

_ASSETS = ROOT / "deploy" / "gateway" / "makegood_gateway" / "assets"
_SHOWN = """new Promise((done) => { const timer = setInterval(() => {
  if (document.querySelectorAll(".opblock").length > 50) { clearInterval(timer); setTimeout(done, 300); } }, 50); })"""
_OPEN = f"""{_SHOWN}.then(() => {{ document.querySelector("#operations-sessions-bookSession button").click(); }})
.then(() => new Promise((done) => setTimeout(done, 1000)))"""
_AUTHORIZE = f"""{_SHOWN}.then(() => {{ document.querySelector(".authorize").click(); }})
.then(() => new Promise((done) => setTimeout(done, 500)))"""
_CHOSEN = """new Promise((done) => { const timer = setInterval(() => {
  if (document.querySelector("main h2, #list li")) { clearInterval(timer); setTimeout(done, 300); } }, 50); })"""
_MAIL = b"""From: Care <care@example.org>\r\nTo: anna@example.org\r\nSubject: Your session is confirmed\r\n\
Content-Type: text/html; charset=utf-8\r\n\r\n\
<html lang="en"><head><title>Confirmed</title></head><body><h1>Confirmed</h1><p>See you then.</p></body></html>"""


def _checkouts() -> Starlette:
    """The page of the development payments as credits makes it, beside the gateway's assets."""

    def page(request: Request) -> Response:
        found = Checkout(
            id="c1",
            member_id="anna",
            state=request.path_params["state"],
            amount=Money(7900, "USD"),
            purchase_id="p1",
            invoice_id=None,
            url=None,
            url_over=False,
            quantity=2,
        )
        return dev_checkouts._page(found)

    def asset(request: Request) -> Response:
        return FileResponse(_ASSETS / Path(request.path_params["name"]).name)

    return Starlette(routes=[Route("/assets/{name}", asset), Route("/dev/checkouts/{state}", page)])


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    from gateway_harness import Server, running_gateway

    mailbox = Mailbox()
    mailbox.add(Mail(_MAIL, "care@example.org", ("anna@example.org",)))
    folder = tmp_path_factory.mktemp("pages")
    with running_gateway(folder, rate_limit=1000, rate_burst=2000) as gateway:
        mail, payments = Server(web_app(mailbox, folder)), Server(_checkouts())
        inbox, checkout = f"http://127.0.0.1:{mail.port}", f"http://127.0.0.1:{payments.port}/dev/checkouts"
        yield [
            {"name": "docs-operation", "url": f"{gateway.url}/docs", "do": _OPEN},
            {"name": "docs-authorize", "url": f"{gateway.url}/docs", "do": _AUTHORIZE},
            {"name": "index", "url": f"{gateway.url}/"},
            {"name": "problems", "url": f"{gateway.url}/problems/"},
            *({"name": f"problem-{slug}", "url": f"{gateway.url}/problems/{slug}"} for slug in PROBLEMS),
            *({"name": f"checkout-{state}", "url": f"{checkout}/{state}"} for state in ("open", "paid", "failed")),
            {"name": "inbox", "url": f"{inbox}/", "do": _CHOSEN},
            {"name": "mail", "url": f"{inbox}/#latest", "do": _CHOSEN},
            {"name": "app-session", "url": f"{inbox}/sessions/s1"},
            {"name": "app-join", "url": f"{inbox}/join/s1"},
        ]
        for server in (mail, payments):
            server.stop()


@pytest.mark.slow
def test_nobody_is_kept_out(pages: list[dict[str, Any]], node: Path, chromium: str, tmp_path: Path) -> None:
    found = json.loads(run("node", HERE / "axe.mjs", chromium, tmp_path, cwd=node, stdin=json.dumps(pages)))
    assert found.keys() == {page["name"] for page in pages}
    assert {name: faults for name, faults in found.items() if faults} == {}
    assert all((tmp_path / f"{page['name']}.png").stat().st_size > 2000 for page in pages)
