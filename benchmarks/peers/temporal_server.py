"""Temporal's server on PostgreSQL, the set-up that its guides recommend, in one process with all four of its services."""

from __future__ import annotations

import json
import subprocess
import urllib.parse
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from peers.children import HOST, free_ports, running

_SERVICES = ("frontend", "history", "matching", "worker")
_STORES = {"default": "temporal", "visibility": "visibility"}
"""Temporal's stores, and their schemas."""
_SHARDS = 4
"""As in Temporal's own configuration for development; they cannot be changed later, so large installations have 512."""


@asynccontextmanager
async def temporal_server(server: str, tools: Path, folder: Path) -> AsyncIterator[str]:
    """The address of a fresh server, whose databases are dropped at the end."""
    names = {store: f"makegood_bench_temporal_{store}" for store in _STORES}
    admin = await asyncpg.connect(server)
    try:
        for store, name in names.items():
            await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await admin.execute(f'CREATE DATABASE "{name}"')
            _make_schema(server, tools, name, f"postgresql/v12/{_STORES[store]}")
        ports = free_ports(2 * len(_SERVICES))
        settings = folder / "temporal.json"
        settings.write_text(json.dumps(_settings(server, names, ports)))  # JSON is YAML
        command = (str(tools / "bin" / "server"), "--config-file", str(settings), "--allow-no-auth", "start")
        with running(folder / "temporal.log", *command, port=ports[0]):
            yield f"{HOST}:{ports[0]}"
        for name in names.values():
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    finally:
        await admin.close()


def _make_schema(server: str, tools: Path, name: str, schema: str) -> None:
    address = urllib.parse.urlsplit(server)
    tool = [
        *(str(tools / "bin" / "sql"), "--plugin", "postgres12", "--ep", str(address.hostname), "-p", str(address.port)),
        *("-u", str(address.username), "--pw", address.password or "", "--db", name),
    ]
    for command in (("setup-schema", "-v", "0.0"), ("update-schema", "--schema-name", schema)):
        done = subprocess.run([*tool, *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{command[0]} failed:\n{(done.stderr or done.stdout)[-2000:]}")


def _settings(server: str, names: dict[str, str], ports: list[int]) -> dict[str, object]:
    address = urllib.parse.urlsplit(server)
    stores = {
        store: {
            "sql": {
                "pluginName": "postgres12",
                "databaseName": name,
                "connectAddr": f"{address.hostname}:{address.port}",
                "connectProtocol": "tcp",
                "user": address.username,
                "password": address.password or "",
                "maxConns": 20 if store == "default" else 5,
                "maxIdleConns": 20 if store == "default" else 5,
            }
        }
        for store, name in names.items()
    }
    rpc, membership = ports[: len(_SERVICES)], ports[len(_SERVICES) :]
    return {
        "log": {"stdout": True, "level": "error"},
        "persistence": {
            "defaultStore": "default",
            "visibilityStore": "visibility",
            "numHistoryShards": _SHARDS,
            "datastores": stores,
        },
        "global": {"membership": {"maxJoinDuration": "30s", "broadcastAddress": HOST}},
        "services": {
            service: {"rpc": {"grpcPort": grpc, "membershipPort": member, "bindOnLocalHost": True}}
            for service, grpc, member in zip(_SERVICES, rpc, membership, strict=True)
        },
        "clusterMetadata": {
            "enableGlobalNamespace": False,
            "failoverVersionIncrement": 10,
            "masterClusterName": "active",
            "currentClusterName": "active",
            "clusterInformation": {
                "active": {
                    "enabled": True,
                    "initialFailoverVersion": 1,
                    "rpcName": "frontend",
                    "rpcAddress": f"{HOST}:{rpc[0]}",
                }
            },
        },
        "dcRedirectionPolicy": {"policy": "noop"},
    }
