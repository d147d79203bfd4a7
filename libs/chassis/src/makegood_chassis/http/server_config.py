"""The settings of the HTTP server. The benchmarks use them too, so that they compare like with like."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from makegood_chassis.http.whole_answers import WholeAnswers

if TYPE_CHECKING:
    from fastapi import FastAPI


def server_config(app: FastAPI, host: str, port: int) -> uvicorn.Config:
    """The caller's event loop runs the server. Connections stay open for 75 seconds, and the gateway writes the access log."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="none",
        http=WholeAnswers,
        ws="none",
        lifespan="off",
        access_log=False,
        proxy_headers=False,
        log_config=None,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        backlog=2048,
    )
