"""Stripe's API on the loopback interface, as far as credits uses it: the real one needs an account and the Internet."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs

from makegood_contracts.ids import new_id


class StripeServer:
    """Checkout sessions and refunds, as far as credits uses them. `broken`: the status it answers instead."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.sessions: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, str]] = {}
        """By idempotency key: what was asked."""
        self.refused: str | None = None
        """The code with which it refuses refunds."""
        self.broken: int | None = None
        self.refused_orders: dict[str, str] | None = None
        """Code and parameter of the error with which it refuses orders for good."""
        self.lasts = 86_400
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator[int]:
        """Serves in a thread. Gives the port."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="stripe", daemon=True)
        thread.start()
        listening = asyncio.start_server(self.answer, "127.0.0.1", 0)
        server = asyncio.run_coroutine_threadsafe(listening, loop).result(timeout=10)
        try:
            yield int(server.sockets[0].getsockname()[1])
        finally:
            loop.call_soon_threadsafe(server.close)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        lines = head.split("\r\n")
        headers = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in lines[1:] if line)}
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        status, content = self._session(lines[0], headers, body)
        payload = json.dumps(content).encode()
        writer.write(
            f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(payload)}\r\n"
            "Connection: close\r\n\r\n".encode()
            + payload
        )
        await writer.drain()
        writer.close()

    def _session(self, request: str, headers: Mapping[str, str], body: str) -> tuple[int, dict[str, Any]]:
        if self.broken is not None:
            return self.broken, {"error": {"type": "api_error", "message": "down"}}
        method, path, _ = request.split(" ")
        if headers["authorization"] != "Bearer sk_test_1":
            return 401, {"error": {"type": "invalid_request_error", "message": "no"}}
        if method == "GET":
            session = path.removeprefix("/v1/checkout/sessions/")
            return 200, {"id": session, "object": "checkout.session", "payment_intent": f"pi_{session}"}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        key = headers["idempotency-key"]
        if path == "/v1/refunds":
            return self._refund(key, form)
        self.asked.append(form)
        if self.refused_orders is not None:
            return 400, {"error": {"type": "invalid_request_error", "message": "no", **self.refused_orders}}
        if key not in self.sessions:
            session = f"cs_test_{new_id()}"
            self.sessions[key] = {
                "id": session,
                "object": "checkout.session",
                "url": f"https://checkout.stripe.com/c/pay/{session}",
                "expires_at": int(time.time()) + self.lasts,
                "client_reference_id": form["client_reference_id"],
            }
        return 200, self.sessions[key]

    def _refund(self, key: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        if self.refused is not None:
            return 400, {"error": {"type": "invalid_request_error", "code": self.refused, "message": "no"}}
        self.refunds[key] = form
        return 200, {"id": f"re_{key}", "object": "refund", "status": "succeeded"}
