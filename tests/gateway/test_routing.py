"""Every path of the interface reaches the service that owns it, and nothing else is reachable."""

from __future__ import annotations

import socket

import httpx
import pytest
from gateway_harness import Gateway

OWNERS = [
    ("booking", "/v1/sessions"),
    ("booking", "/v1/sessions/s1"),
    ("booking", "/v1/sessions/s1/no-show"),
    ("booking", "/v1/rooms"),
    ("booking", "/v1/rooms/r1"),
    ("booking", "/v1/rooms/r1/bookability"),
    ("booking", "/v1/policies/current"),
    ("booking", "/v1/booking/dev/clock"),
    ("availability", "/v1/providers/p1/schedule"),
    ("availability", "/v1/providers/p1/time-off/t1"),
    ("availability", "/v1/venues"),
    ("availability", "/v1/venues/v1"),
    ("availability", "/v1/rooms/r1/waitlist"),
    ("availability", "/v1/rooms/r1/waitlist/w1"),
    ("availability", "/v1/availability/dev/clock"),
    ("credits", "/v1/plans"),
    ("credits", "/v1/members/m1/credits"),
    ("credits", "/v1/members/m1/ledger"),
    ("credits", "/v1/purchases"),
    ("credits", "/v1/purchases/x1"),
    ("credits", "/v1/invoices/i1"),
    ("credits", "/v1/webhooks/payments"),
    ("booking", "/v1/join-links/verify"),
    ("credits", "/v1/members/m1/invoices/i1/pay"),
    ("credits", "/dev/checkouts/c1/pay"),
    ("credits", "/v1/credits/dev/clock"),
    ("notifications", "/v1/people/m1/contact"),
    ("notifications", "/v1/rooms/r1/messages"),
    ("notifications", "/v1/rooms/r1/time-request"),
    ("notifications", "/v1/people/m1/calendar-feed"),
    ("notifications", "/v1/people/m1/export"),
    ("notifications", "/v1/people/m1"),
    ("notifications", "/v1/sessions/s1/reminders"),
    ("notifications", "/v1/sessions/s1/calendar.ics"),
    ("notifications", "/v1/deliveries"),
    ("notifications", "/v1/notifications/dev/clock"),
]


@pytest.mark.parametrize(("service", "path"), OWNERS)
def test_the_owner_answers(gateway: Gateway, client: httpx.Client, service: str, path: str) -> None:
    answer = client.post(f"{path}?limit=2", headers=gateway.headers(f"routing-{path}"))
    assert answer.status_code == 200, answer.text
    assert (answer.json()["service"], answer.json()["path"], answer.json()["query"]) == (service, path, "limit=2")


@pytest.mark.parametrize("service", ["booking", "availability", "credits", "notifications"])
def test_the_api_documents_need_no_token(client: httpx.Client, service: str) -> None:
    assert client.get(f"/v1/{service}/openapi.json").json()["info"]["title"] == service


@pytest.mark.parametrize(
    "path",
    [
        "/livez",
        "/readyz",
        "/startupz",
        "/metrics",
        "/v1",
        "/v1/sessionsx",
        "/v1/roomsy/r1",
        "/v1/unknown",
        "/v2/sessions",
    ],
)
def test_nothing_else_is_reachable(gateway: Gateway, client: httpx.Client, path: str) -> None:
    answer = client.get(path, headers=gateway.headers("elsewhere"))
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/not-found"


def test_a_path_has_one_meaning(gateway: Gateway, client: httpx.Client) -> None:
    """Dots and doubled slashes are resolved before a route is chosen, so no path reaches a service by a detour."""
    headers = gateway.headers("paths")
    detour = httpx.Request("GET", httpx.URL(gateway.url).copy_with(raw_path=b"/v1//rooms/../venues"), headers=headers)
    assert client.send(detour).json()["path"] == "/v1/venues"
    hidden = httpx.Request(
        "GET", httpx.URL(gateway.url).copy_with(raw_path=b"/v1/rooms/r1%2Fmessages"), headers=headers
    )
    answer = client.send(hidden)
    assert (answer.status_code, answer.json()["type"]) == (400, "/problems/validation")


def test_a_stream_passes_through_as_it_comes(gateway: Gateway) -> None:
    """The first event arrives while the answer is unfinished, later than any other route's timeout allows."""
    with (
        httpx.Client(base_url=gateway.url, timeout=20) as client,
        client.stream("GET", "/v1/stream", headers=gateway.headers("reader")) as answer,
    ):
        lines = answer.iter_lines()
        assert next(lines) == "event: session.changed"
        late = client.get("/v1/sessions/slow", headers=gateway.headers("reader"))
        assert late.status_code == 504
        gateway.upstreams["notifications"].go_on()
        assert "event: room.message" in list(lines)


def test_http_2_without_tls_is_understood(gateway: Gateway) -> None:
    """The preface of HTTP/2 is answered with a SETTINGS frame."""
    port = httpx.URL(gateway.url).port
    with socket.create_connection(("127.0.0.1", int(port or 0)), timeout=30) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        frame = connection.recv(9)
    assert frame[3] == 0x04
