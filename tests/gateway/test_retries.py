"""What is sent twice and what never is, when a service's process ends under a request (REL-8)."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from gateway_harness import Gateway, Server, running_gateway
from gateway_upstream import Upstream, application
from makegood_gateway import Endpoint

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


class Dying:
    """Reads a request and ends the connection without a word, the first time; answers from then on."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                request = connection.recv(65536)
                if b"/readyz" not in request:
                    self.requests.append(request)
                    if len(self.requests) == 1:
                        continue
                connection.sendall(ANSWER)

    def stop(self) -> None:
        self._listener.close()


@contextmanager
def dying_booking(folder: Path) -> Iterator[tuple[Gateway, Dying, httpx.Client]]:
    dying = Dying()
    try:
        with (
            running_gateway(folder, instead={"booking": (Endpoint("127.0.0.1", dying.port, dying.port),)}) as gateway,
            httpx.Client(base_url=gateway.url, headers=gateway.headers(), timeout=20) as client,
        ):
            yield gateway, dying, client
    finally:
        dying.stop()


@pytest.mark.rule("REL-8")
def test_a_change_without_a_key_is_never_sent_twice(tmp_path: Path) -> None:
    with dying_booking(tmp_path) as (_, dying, client):
        answer = client.post("/v1/sessions/s1/confirm")
        assert (answer.status_code, answer.json()["type"]) == (503, "/problems/unavailable")
        assert len(dying.requests) == 1


@pytest.mark.rule("REL-8")
@pytest.mark.parametrize(("method", "headers"), [("POST", {"Idempotency-Key": "k1"}), ("GET", {})])
def test_what_is_safe_to_repeat_is_repeated(tmp_path: Path, method: str, headers: dict[str, str]) -> None:
    with dying_booking(tmp_path) as (_, dying, client):
        assert client.request(method, "/v1/sessions", headers=headers).status_code == 200
        assert len(dying.requests) == 2


@pytest.mark.rule("REL-8")
def test_a_request_outlives_the_restart_of_the_only_process(tmp_path: Path) -> None:
    """Nobody listens when the request comes; it is answered as soon as somebody does."""
    with (
        running_gateway(tmp_path) as gateway,
        httpx.Client(base_url=gateway.url, headers=gateway.headers(), timeout=30) as client,
    ):
        port = gateway.servers["credits"].port
        gateway.servers["credits"].stop()
        answers: list[int] = []
        waiting = threading.Thread(target=lambda: answers.append(client.post("/v1/purchases").status_code))
        waiting.start()
        waiting.join(0.5)
        assert waiting.is_alive()
        back = Server(application(Upstream("credits")), port)
        try:
            waiting.join(20)
        finally:
            back.stop()
        assert answers == [200]
