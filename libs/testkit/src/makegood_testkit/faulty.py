"""A platform whose every server and provider is behind a proxy that can be slow, silent, reset or gone (REL-9)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from makegood_stack.embedded import EmbeddedServers, run_apart
from makegood_stack.ports import SERVICES, free_port

from makegood_testkit.databases import Databases, settings_of
from makegood_testkit.fault_proxy import Fault, FaultProxy
from makegood_testkit.platform import Platform
from makegood_testkit.stripe_server import StripeServer

Dependency = Literal["postgresql", "kafka", "redis", "smtp", "payments", "whatsapp", "jwks"]
DEPENDENCIES: Final[tuple[Dependency, ...]] = get_args(Dependency)
NEEDED: Final[frozenset[Dependency]] = frozenset({"postgresql", "kafka"})
"""What a process of the role `all` needs to be ready."""


@dataclass
class FaultyPlatform:
    """The platform and the proxies in front of what it depends on."""

    platform: Platform
    proxies: Mapping[Dependency, FaultProxy]

    def begin(self, dependencies: Iterable[Dependency], fault: Fault) -> None:
        """They suffer the fault from now on."""
        for dependency in dependencies:
            self.proxies[dependency].begin(fault)

    def heal(self) -> None:
        """All are well again."""
        for proxy in self.proxies.values():
            if proxy.fault is not None:
                proxy.heal()


@contextmanager
def faulty_platform(folder: Path, **settings: str) -> Iterator[FaultyPlatform]:
    """A platform on servers of its own. `settings` are those of its services."""
    with ExitStack() as stack:
        servers = stack.enter_context(EmbeddedServers())
        postgres, redis = servers.postgres(), servers.redis()
        proxies: dict[Dependency, FaultProxy] = {
            "postgresql": stack.enter_context(FaultProxy(postgres.port)),
            "redis": stack.enter_context(FaultProxy(redis.port)),
        }
        # Clients connect to the address that the broker tells them, which is the proxy's.
        broker = free_port()
        proxies["kafka"] = stack.enter_context(FaultProxy(broker, free_port()))
        servers.kafka(settings={"advertised.listeners": f"PLAINTEXT://{proxies['kafka'].address}"}, port=broker)
        stripe = StripeServer()
        proxies["payments"] = stack.enter_context(FaultProxy(stack.enter_context(stripe.serving())))
        databases = Databases(postgres.url)
        urls = {service: run_apart(databases.make(service)) for service in SERVICES}
        environment: dict[str, str] = {}
        for service, url in urls.items():
            behind = proxies["postgresql"].before(url)
            environment |= settings_of(service, behind)
        platform = Platform.at(folder, environment)
        ports = platform.stack.ports
        proxies["smtp"] = stack.enter_context(FaultProxy(ports.of("smtp")))
        for name in ("whatsapp", "jwks"):
            proxies[name] = stack.enter_context(FaultProxy(ports.of("mail")))
        environment |= {
            "KAFKA_BOOTSTRAP_SERVERS": proxies["kafka"].address,
            "REDIS_URL": proxies["redis"].before(redis.url),
            "SMTP_PORT": str(proxies["smtp"].port),
            "WHATSAPP_URL": f"http://{proxies['whatsapp'].address}/whatsapp",
            "JWKS_URL": f"http://{proxies['jwks'].address}/.well-known/jwks.json",
            "EVENT_KEYS_URL": f"http://{proxies['jwks'].address}/.well-known/event-keys.json",
            "JWKS_REFRESH": "2",
            "PAYMENT_PROVIDER": "stripe",
            "STRIPE_SECRET_KEY": "sk_test_1",
            "STRIPE_WEBHOOK_SECRET": "whsec_1",
            "STRIPE_API_BASE": f"http://{proxies['payments'].address}",
            **settings,
        }
        platform = Platform(platform.home, platform.choices, environment)
        stack.callback(platform.down)
        platform.up()
        running = FaultyPlatform(platform, proxies)
        yield running
        running.heal()
