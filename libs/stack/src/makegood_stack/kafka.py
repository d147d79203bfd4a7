"""Apache Kafka, one combined KRaft node on the loopback."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from makegood_chassis.kafka_connection import Brokers, kafka_arguments
from makegood_devtools.errors import UserError

from makegood_stack.ports import LISTEN
from makegood_stack.processes import Spec

if TYPE_CHECKING:
    from aiokafka.admin import NewTopic

    from makegood_stack.packages import Programs

NAME = "kafka"
_CLUSTER = "bWFrZWdvb2QtZGV2LTAwMQ"
_JVM = (
    "-Xms192m",
    "-Xmx512m",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    "-XX:+ExitOnOutOfMemoryError",
    "-Djava.awt.headless=true",
    # Deprecation warnings about Java internals do not help users.
    "--sun-misc-unsafe-memory-access=allow",
    "--enable-native-access=ALL-UNNAMED",
)
_LOGGING = """\
Configuration:
  Appenders:
    Console:
      name: stdout
      PatternLayout: { pattern: "[%d] %p %m (%c)%n" }
  Loggers:
    Root: { level: WARN, AppenderRef: { ref: stdout } }
    Logger:
      - { name: kafka.server.KafkaRaftServer, level: INFO }
"""


@dataclass(frozen=True)
class Protection:
    """A broker that only accepts protected connections: SCRAM-SHA-512 logins over TLS, and client certificates on another
    port."""

    keys: Path
    """PEM file of the broker's certificate, for the name `kafka`, and its key."""
    authority: Path
    """PEM file of the authority that signed the certificates of clients and broker."""
    certificates_port: int
    logins: Mapping[str, str]
    """Password by login."""
    administrator: str = ""
    """The login that may do everything, while the others may do only what they were granted. Empty: all may do everything."""

    def properties(self, port: int, controller: int) -> dict[str, object]:
        """The settings that differ from an unprotected broker."""
        module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        listeners = f"SASL_SSL://{LISTEN}:{port},SSL://{LISTEN}:{self.certificates_port}"
        return {
            "listeners": f"{listeners},CONTROLLER://{LISTEN}:{controller}",
            "advertised.listeners": listeners,
            "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL",
            "inter.broker.listener.name": "SSL",
            "listener.name.ssl.ssl.client.auth": "required",
            "listener.name.sasl_ssl.sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": module,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": self.keys,
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": self.authority,
            **(self._rights() if self.administrator else {}),
        }

    def _rights(self) -> dict[str, object]:
        return {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{self.administrator};User:{NAME}",
            # Users with certificates have the same names as those with passwords.
            "ssl.principal.mapping.rules": "RULE:^CN=([^,]+).*$/$1/,DEFAULT",
            # The broker itself then has a name at the controller, too: that of its certificate.
            "listener.security.protocol.map": "CONTROLLER:SSL,SASL_SSL:SASL_SSL,SSL:SSL",
            "listener.name.controller.ssl.client.auth": "required",
        }

    def format_options(self) -> list[str]:
        """The arguments that create the logins when the data folder is formatted."""
        users = [f"SCRAM-SHA-512=[name={name},password={password}]" for name, password in self.logins.items()]
        return [word for user in users for word in ("--add-scram", user)]


def _properties(data: Path, port: int, controller: int) -> dict[str, object]:
    return {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@{LISTEN}:{controller}",
        "listeners": f"PLAINTEXT://{LISTEN}:{port},CONTROLLER://{LISTEN}:{controller}",
        "advertised.listeners": f"PLAINTEXT://{LISTEN}:{port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 8,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "transaction.state.log.num.partitions": 2,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "num.network.threads": 2,
        "num.io.threads": 4,
        "num.recovery.threads.per.data.dir": 2,
        "background.threads": 2,
        "socket.send.buffer.bytes": 131072,
        "socket.receive.buffer.bytes": 131072,
        "log.segment.bytes": 64 << 20,
        "log.index.size.max.bytes": 1 << 20,
        "controlled.shutdown.max.retries": 1,
        "log.cleaner.dedupe.buffer.size": 8 << 20,
        # One controller follows nobody, so its log needs no records that say nothing; by default there are two a second.
        "metadata.max.idle.interval.ms": 0,
    }


def spec(
    folder: Path,
    programs: Programs,
    port: int,
    controller: int,
    protection: Protection | None = None,
    changes: Mapping[str, object] | None = None,
) -> Spec:
    """Writes the configuration, formats the data folder if it is new, and returns how to start the broker.

    `changes` override the broker's settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    properties = folder / "server.properties"
    values = _properties(data, port, controller) | (protection.properties(port, controller) if protection else {})
    values |= changes or {}
    text = "".join(f"{key}={value}\n" for key, value in values.items())
    properties.write_text(text)
    logging = folder / "log4j2.yaml"
    logging.write_text(_LOGGING)
    classpath = ":".join(str(jar) for jar in programs.kafka_jars)
    java = (str(programs.java), *_JVM, f"-Dlog4j2.configurationFile={logging}", "-cp", classpath)
    if not (data / "meta.properties").exists():
        _format(java, properties, protection.format_options() if protection else [])
    return Spec(
        name=NAME,
        command=(*java, "kafka.Kafka", str(properties)),
        ports={"Kafka": port, "Kafka's controller": controller},
        folder=folder,
        stop_seconds=15,
        version=text,
    )


def _format(java: tuple[str, ...], properties: Path, options: list[str]) -> None:
    tool = (*java, "kafka.tools.StorageTool", "format", "--ignore-formatted")
    command = (*tool, "-t", _CLUSTER, "-c", str(properties), *options)
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()[-3:]
        raise UserError("Kafka's data folder could not be prepared: " + " ".join(lines))


async def answers(bootstrap: Brokers) -> bool:
    """Whether a broker answers a metadata request at `bootstrap`."""
    # Imported at its use: it takes long, and most commands need none of it.
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    host, _, port = str(bootstrap).split(",")[0].rpartition(":")
    try:
        _, writer = await asyncio.open_connection(host, int(port))
        writer.close()
    except OSError:
        return False
    admin = AIOKafkaAdminClient(**kafka_arguments(bootstrap), request_timeout_ms=3000)
    try:
        await admin.start()
        return bool((await admin.describe_cluster())["brokers"])
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()


async def make_topics(bootstrap: Brokers, topics: list[NewTopic]) -> list[str]:
    """Creates missing topics, waits until the broker lists them, and returns their names.

    Raises KafkaError, or TimeoutError if the broker does not list them after half a minute.
    """
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import TopicAlreadyExistsError, for_code

    admin = AIOKafkaAdminClient(**kafka_arguments(bootstrap))
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        missing = [t for t in topics if t.name not in existing]
        if not missing:
            return []
        response = await admin.create_topics(missing, timeout_ms=30000)
        made = []
        for name, code, *_ in response.topic_errors:
            if not code:
                made.append(name)
            elif for_code(code) is not TopicAlreadyExistsError:
                raise for_code(code)(name)
        # The broker answers before new topics are visible to clients.
        async with asyncio.timeout(30):
            names = {topic.name for topic in missing}
            while not names <= set(await admin.list_topics()):  # noqa: ASYNC110 (the broker offers nothing to wait for)
                await asyncio.sleep(0.05)
        return made
    finally:
        await admin.close()
