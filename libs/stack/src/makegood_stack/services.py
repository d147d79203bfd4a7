"""How to start the four services, the development tools and the gateway."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import makegood_devtools
from makegood_devtools.errors import UserError
from makegood_devtools.event_keys import private_key_file, public_keys_file
from makegood_devtools.join_key import join_key_file

from makegood_stack.config import Stack
from makegood_stack.packages import Programs
from makegood_stack.ports import LISTEN, PROBES_ABOVE, SERVICES
from makegood_stack.processes import Spec


def environment(stack: Stack, service: str) -> dict[str, str]:
    """The settings of a service's process, without its port."""
    values = {
        "MAKEGOOD_ENVIRONMENT": os.environ.get("MAKEGOOD_ENVIRONMENT", "development"),
        "KAFKA_BOOTSTRAP_SERVERS": stack.bootstrap,
        "KAFKA_TOPIC_PREFIX": stack.topic_prefix(),
        f"{service.upper()}_DATABASE_URL": stack.database_url(service),
        f"{service.upper()}_OWNER_DATABASE_URL": stack.database_url(service, "owner"),
        f"{service.upper()}_PRUNER_DATABASE_URL": stack.database_url(service, "pruner"),
        "REDIS_URL": stack.redis_url,
        # Settings that came from files have already been read.
        f"{service.upper()}_DATABASE_URL_FILE": "",
        f"{service.upper()}_OWNER_DATABASE_URL_FILE": "",
        f"{service.upper()}_PRUNER_DATABASE_URL_FILE": "",
        "REDIS_URL_FILE": "",
        **_data_keys(stack),
        "JWKS_URL": os.environ.get("JWKS_URL", f"{stack.mail_url}/.well-known/jwks.json"),
        # Each service gets its own private key and all public keys.
        "EVENT_KEYS_URL": os.environ.get("EVENT_KEYS_URL", f"{stack.mail_url}/.well-known/event-keys.json"),
        "EVENT_SIGNING_KEY": "",
        "EVENT_SIGNING_KEY_FILE": str(private_key_file(stack.home.event_keys, service)),
        "OTEL_EXPORTER_OTLP_ENDPOINT": _collector(),
        "HTTP_HOST": LISTEN,
        "PUBLIC_BASE_URL": _public_url(stack),
        # The development tools answer the client app's addresses, so that links in messages work.
        "CLIENT_APP_URL": os.environ.get("CLIENT_APP_URL", stack.mail_url),
        # Migrate in the same process; another process would have to import everything again.
        "MAKEGOOD_MIGRATE": "1",
        "PYTHONUNBUFFERED": "1",
        # Keep byte code even if the shell disables it; without it, a start takes seconds longer.
        "PYTHONDONTWRITEBYTECODE": "",
    }
    if service == "booking":
        values["JOIN_LINK_KEY"] = ""
        values["JOIN_LINK_KEY_FILE"] = str(join_key_file(stack.home.join_links))
    if service == "notifications":
        values["SMTP_HOST"] = os.environ.get("SMTP_HOST", LISTEN)
        values["SMTP_PORT"] = os.environ.get("SMTP_PORT", str(stack.ports.of("smtp")))
        # The development tools imitate WhatsApp's API and accept any account.
        values["WHATSAPP_URL"] = os.environ.get("WHATSAPP_URL", f"{stack.mail_url}/whatsapp")
        values["WHATSAPP_PHONE_NUMBER_ID"] = os.environ.get("WHATSAPP_PHONE_NUMBER_ID", "100000000000000")
        values["WHATSAPP_TOKEN"] = os.environ.get("WHATSAPP_TOKEN", "development")
    return values


def _public_url(stack: Stack) -> str:
    """The gateway's public address. The gateway and the services, whose events contain it, must agree on it."""
    return os.environ.get("PUBLIC_BASE_URL") or stack.base_url


def _collector() -> str:
    """The address to which every part sends its spans. Empty: there are no traces."""
    return os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")


def _data_keys(stack: Stack) -> dict[str, str]:
    """The master keys from the environment, or else those of this installation, made at its first start."""
    given = {name: value for name in ("DATA_KEYS", "DATA_KEYS_FILE") if (value := os.environ.get(name))}
    if given:
        return given
    path = stack.home.data_keys
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileExistsError):
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "w") as file:
                file.write(f"first:{base64.b64encode(secrets.token_bytes(32)).decode()}\n")
    return {"DATA_KEYS_FILE": str(path)}


def service_specs(stack: Stack, service: str) -> list[Spec]:
    """One spec per process of the service, with ports in steps of ten."""
    specs = []
    for process in stack.processes(service):
        ports = stack.ports_of(process)
        port = stack.ports.of_service(service, process.place)
        specs.append(
            Spec(
                name=process.name,
                command=(sys.executable, "-m", f"makegood_{service}", process.role),
                environment=environment(stack, service)
                | {"HTTP_PORT": str(port), "PROBE_PORT": str(port + PROBES_ABOVE)},
                ports=ports,
                folder=stack.home.root,
                stop_seconds=15,
                version=_code_version(stack.home.root, service),
                role=process.role,
            )
        )
    return specs


def _code_version(root: Path, service: str) -> str:
    """The latest change to the code and texts of a service. After a change, `up` restarts it."""
    folders = [
        root / "services" / service,
        *(root / "libs" / name for name in ("chassis", "contracts", "calendar", "plans")),
    ]
    kinds = {".py", ".toml", ".j2"}
    files = [p for folder in folders for p in folder.rglob("*") if p.suffix in kinds and "tests" not in p.parts]
    return str(max((p.stat().st_mtime_ns for p in files), default=0))


def mail_spec(stack: Stack) -> Spec:
    """The development mail server with its page, which also serves the development identity's keys."""
    smtp, web = stack.ports.of("smtp"), stack.ports.of("mail")
    command = (sys.executable, "-m", "makegood_devtools", "--smtp-port", str(smtp), "--http-port", str(web))
    event_keys = str(public_keys_file(stack.home.event_keys))
    sources = sorted(Path(makegood_devtools.__file__).parent.glob("*.*"))
    return Spec(
        name="mail",
        command=(
            *command,
            "--keys",
            str(stack.home.identity),
            "--event-keys",
            event_keys,
            "--api",
            stack.base_url,
        ),
        ports=stack.ports.of_part("mail"),
        folder=stack.home.root,
        stop_seconds=5,
        version=str(max(p.stat().st_mtime_ns for p in sources)),
    )


# This build of Envoy asks the kernel to end it with its parent, which would be our command: a shell stays as its parent
# and passes the signal on.
_HOLDER = 'trap "kill -TERM \\$child" TERM INT; "$@" & child=$!; wait $child; wait $child'


def gateway_spec(stack: Stack, programs: Programs) -> Spec:
    """Renders the gateway's configuration for this stack and says how to start Envoy with it."""
    folder = stack.folder("gateway")
    folder.mkdir(parents=True, exist_ok=True)
    out = folder / "envoy.yaml"
    renderer = stack.home.root / "deploy" / "gateway" / "render.py"
    if not renderer.is_file():
        raise UserError(f"the gateway's configuration is missing: {renderer}")
    port, admin = stack.ports.of("gateway"), stack.ports.of("gateway_admin")
    options: dict[str, str] = {
        "--out": str(out),
        "--gateway-port": str(port),
        "--public-url": _public_url(stack),
        "--admin-port": str(admin),
        "--listen": LISTEN,
        "--identity": f"{LISTEN}:{stack.ports.of('mail')}",
        **{f"--{service}": ",".join(_addresses(stack, service)) for service in SERVICES},
    }
    if collector := _collector():
        options["--otlp"] = collector
    command = [sys.executable, str(renderer), *(word for pair in options.items() for word in pair)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=stack.home.root)  # noqa: S603
    if result.returncode:
        raise UserError(f"the gateway's configuration could not be written:\n{result.stderr.strip()[-600:]}")
    command = [
        "/bin/sh",
        "-c",
        _HOLDER,
        "gateway",
        str(programs.envoy),
        "-c",
        str(out),
        "--disable-hot-restart",
        "--concurrency",
        "1",
    ]
    command += ["--log-level", "warning", "--drain-time-s", "3", "--parent-shutdown-time-s", "5"]
    return Spec(
        name="gateway",
        command=tuple(command),
        ports=stack.ports.of_part("gateway"),
        folder=folder,
        stop_seconds=8,
        version=json.dumps(options) + out.read_text(),
    )


def _addresses(stack: Stack, service: str) -> list[str]:
    """Where the gateway finds the service: all processes that serve requests, or else where the first one would."""
    serving = [process.place for process in stack.processes(service) if process.serves] or [1]
    ports = [stack.ports.of_service(service, place) for place in serving]
    return [f"{LISTEN}:{port}/{port + PROBES_ABOVE}" for port in ports]
