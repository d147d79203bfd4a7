"""The world of a schedule: four services, their databases, the log and the people. It plays one step after the other."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import httpx
from aiokafka.structs import ConsumerRecord
from makegood_chassis.messaging.failures import is_transient
from makegood_cli.audit.topics import TopicWitness
from makegood_contracts.events import EVENT_TYPES
from makegood_contracts.topics import EVENT_TOPICS, SERVICES, ServiceName

from makegood_simulator import checks
from makegood_simulator.crashes import Crash, Crashes, Hung
from makegood_simulator.log import MemoryLog
from makegood_simulator.people import Memory, Request, opening, request_of
from makegood_simulator.process import MailServer, Process
from makegood_simulator.steps import Step, moment
from makegood_simulator.tokens import Tokens
from makegood_simulator.virtual import VirtualTime

_PATIENCE: Final = 120.0
"""Seconds of this machine's time after which a step counts as hung."""
_ROUNDS: Final = 200
"""Turns of all services after which what is still not quiet never will be."""
_EVENT_TOPICS: Final = frozenset(topic.name for topic in EVENT_TOPICS)


class Violation(Exception):
    """Something that must hold does not. `step`: the number of the step after which it was found."""

    def __init__(self, found: str, step: int) -> None:
        super().__init__(found)
        self.found = found
        self.step = step

    @property
    def kind(self) -> str:
        return checks.kind_of(self.found)


@dataclass(frozen=True)
class Places:
    """The databases of a world, by service: as the service itself, and as a superuser who may read and repair everything."""

    urls: Mapping[str, str]
    admin: Mapping[str, str]


class World:
    """`play` plays steps. Every one leaves the invariants as they were, or it raises Violation."""

    def __init__(self, places: Places, tokens: Tokens, time: VirtualTime) -> None:
        self.time = time
        self.log = MemoryLog()
        self.memory = Memory()
        self.counts: Counter[str] = Counter()
        """What happened, by name: steps, faults, answers and events."""
        self.log.appended.append(self._appended)
        self.witness = TopicWitness()
        self.connections = checks.Connections(places.admin)
        self._places = places
        self._tokens = tokens
        self._mail = MailServer()
        self._crashes = Crashes()
        self._restarts = 0
        self._dead_letters: list[str] = []
        self.processes: dict[str, Process] = {}
        self._played = 0
        self.digest = 0

    @property
    def deaths(self) -> Counter[str]:
        """How often a process died at each failpoint."""
        return self._crashes.died

    async def open(self) -> None:
        for name in SERVICES:
            self.processes[name] = self._process(name)
            await self.processes[name].start()
        for step in opening():
            await self.play(step)
            await self._quiet()
        self._played = 0

    async def close(self) -> None:
        self._crashes.close()
        await self.connections.close()
        for process in self.processes.values():
            await process.database.close()

    def _process(self, name: ServiceName) -> Process:
        before = self.processes.get(name)
        connections = before.database._connections if before else None
        self._restarts += 1
        url = self._places.urls[name]
        return Process(
            name, url, self._tokens.keys, self.time, self.log, self._mail, self._restarts, connections=connections
        )

    def _appended(self, record: ConsumerRecord) -> None:
        attributes = dict(record.headers)
        kind = attributes.get("ce_type", b"").decode()
        # Not of the payload: it may hold keys and seals, which are made by chance that no seed governs.
        self.digest = zlib.crc32(f"{record.topic}/{record.partition} {record.key!r} {kind}".encode(), self.digest)
        if record.topic.endswith("dead-letters.v1"):
            name = EVENT_TYPES[kind].__name__ if kind in EVENT_TYPES else "a record"
            why = attributes.get("makegood_dead_reason", b"").decode()
            self._dead_letters.append(f"{record.topic.partition('.')[0]} gave up {name}: {why}")
        elif record.topic in _EVENT_TOPICS:
            before = self.witness.duplicates
            self.witness.take(record.topic, record.key, record.headers, record.value)
            self.counts[f"event {EVENT_TYPES[kind].__name__}" if kind in EVENT_TYPES else "tombstone"] += 1
            if kind.endswith("SlotReleased.v1") and b'"cause":"lapsed"' in (record.value or b""):
                self.counts["a slot lapsed"] += 1
            self.counts["duplicate in the log"] += self.witness.duplicates - before

    # Steps

    async def play(self, step: Step) -> None:
        """Plays the step and checks what it may have broken. Raises Violation."""
        self._played += 1
        self.time.tick()
        self.counts[f"step {step.kind}"] += 1
        try:
            await self._crashes.run(self._do(step), step.crash, _PATIENCE)
        except Crash:
            self.counts["crash"] += 1
            self._lost_answer(step)
            await self._restart(self._service_of(step))
        except Violation:
            raise
        except Hung as hung:
            raise self._violation(str(hung)) from hung
        except Exception as error:
            if not is_transient(error):
                raise self._violation(f"{step.kind} of {step.service}: {type(error).__name__}: {error}") from error
            self.counts[f"passing {type(error).__name__}"] += 1
        finally:
            self.log.faults.clear()
        await self._check(step)

    async def _check(self, step: Step) -> None:
        if self._dead_letters:
            raise self._violation(self._dead_letters[0])
        if disorder := next(iter(self.witness.disorders), None):
            raise self._violation(disorder)
        service = self._service_of(step)
        found = await checks.after_step(self.connections, service, self.memory) if service else []
        if step.kind == "deadlines" and step.crash is None:
            now = self.processes[service].clock.now()
            found += await checks.after_deadlines(self.connections, service, now)
        if found:
            raise self._violation(found[0])

    def _violation(self, found: str) -> Violation:
        return Violation(found, self._played)

    def _service_of(self, step: Step) -> str:
        if step.kind in ("request", "again") and (asked := self.memory.requests.get(step.name)):
            return asked.service
        return step.service

    async def _do(self, step: Step) -> None:
        process = self.processes.get(step.service)
        match step.kind:
            case "request":
                await self._ask(step)
            case "again":
                if (asked := self.memory.requests.get(step.name)) is not None:
                    await self._send(asked)
            case "clock":
                self.time.now = max(self.time.now, moment(step.options["at"]))
            case "settle":
                await self.settle(all_over=bool(step.options.get("all_over")))
            case "flow":
                for each in self.processes.values():
                    await each.send(reads_table=False)
                    await each.deliver(None)
            case "cut-off":
                self.log.cut_off.add(step.service)
            case "reconnect":
                self.log.cut_off.discard(step.service)
            case "restart":
                await self._restart(step.service)
            case _ if process is not None:
                await self._move(process, step)

    async def _move(self, process: Process, step: Step) -> None:
        chance = random.Random(step.chance) if step.chance else None
        match step.kind:
            case "deliver":
                self.counts["delivered"] += await process.deliver(chance)
            case "send":
                if fault := step.options.get("fault"):
                    self.log.faults[process.name] = (fault, chance or random.Random(0))
                await process.send(reads_table=bool(step.options.get("reads_table")))
            case "deadlines":
                self.counts["deadlines handled"] += await process.handle_deadlines()
            case "offsets":
                await process.commit_offsets()
            case "mails":
                await self._mails_are_due()
                await process.deliver_mails()
            case "skew":
                process.clock.skew = timedelta(seconds=step.options["seconds"])
            case "lose-partitions":
                process.lose_partitions()
            case "lose-lease":
                await self._end_lease(process.name)
                process.relay._lease.lost()

    async def _restart(self, service: str) -> None:
        """A new process in the place of one that died. What its lease and its messages in hand wait for has passed by then."""
        if not service:
            return
        skew = self.processes[service].skew
        self.processes[service] = process = self._process(service)  # type: ignore[arg-type]
        process.clock.skew = skew
        await process.start()
        await self._end_lease(service)
        if service == "notifications":
            await self._mails_are_due()

    async def _end_lease(self, service: str) -> None:
        connection = await self.connections.of(service)
        await connection.execute("UPDATE leases SET expires_at = clock_timestamp() - interval '1 second'")

    async def _mails_are_due(self) -> None:
        connection = await self.connections.of("notifications")
        await connection.execute(
            "UPDATE deliveries SET next_attempt_at = now() - interval '1 s' WHERE status = 'queued'"
        )

    # Requests

    async def _ask(self, step: Step) -> None:
        if step.name in self.memory.requests:
            return
        version = ""
        if step.does in ("reschedule", "extend") and (session_id := self.memory.session_id(step.session)):
            connection = await self.connections.of("booking")
            version = str(await connection.fetchval("SELECT version FROM sessions WHERE id = $1", session_id))
        request = request_of(step, self.memory, version, self.time.now)
        if request is not None:
            self.memory.requests[request.name] = request
            await self._send(request)

    async def _send(self, request: Request) -> None:
        headers = {"Authorization": f"Bearer {self._tokens.of(request.role, request.subject, self.time.real)}"}
        headers["Idempotency-Key"] = request.key
        if request.if_match:
            headers["If-Match"] = f'"{request.if_match}"'
        if request.role == "support":
            headers["X-Access-Reason"] = "support_request"
        client = self.processes[request.service].client
        answer = await client.request(request.method, request.path, json=request.body, headers=headers)
        self._note(request, answer)

    def _note(self, request: Request, answer: httpx.Response) -> None:
        said = answer.json() if answer.content else None
        problem = str(said.get("type", "")).rpartition("/")[2] if answer.is_error and isinstance(said, dict) else ""
        self.counts[f"{request.does} {answer.status_code}{f' {problem}' if problem else ''}"] += 1
        if answer.status_code >= 500:
            raise self._violation(f"{request.does} was answered {answer.status_code} {problem}")
        if answer.headers.get("Idempotent-Replayed") == "true":
            self.counts["answered from its key"] += 1
            if request.lost:
                self.counts["answered from its key after a lost answer"] += 1
        before, after = _id_of(request.answer), _id_of(said)
        # To join again is refused once the session is over (JOIN-1).
        changed = request.does != "join" and (after != before or answer.is_error)
        if request.done and changed and request.method == "POST":
            raise self._violation(f"{request.does} was answered differently the second time")
        if request.lost and not request.status and not answer.is_error:
            self.counts["done after a lost answer"] += 1
        request.status, request.answer = answer.status_code, said
        if request.does == "open-room" and request.done:
            self.memory.rooms[request.body["member_id"], request.body["provider_id"]] = str(after)

    def _lost_answer(self, step: Step) -> None:
        if step.kind in ("request", "again") and (asked := self.memory.requests.get(step.name)) is not None:
            asked.lost += 1
            self.counts["lost answer"] += 1

    # Quiet

    async def settle(self, *, all_over: bool = False) -> None:
        """Everything works again until nothing is left to do. Then everything must be right. Raises Violation."""
        self.log.cut_off.clear()
        for process in self.processes.values():
            process.clock.skew = timedelta()
        await self._quiet()
        found = await checks.once_quiet(
            self.connections,
            self.witness,
            self.memory,
            self.time.now,
            mailed=set(self._mail.taken),
            all_over=all_over,
        )
        self.counts["audits"] += 1
        if found:
            raise self._violation(found[0])

    async def _quiet(self) -> None:
        for _ in range(_ROUNDS):
            busy = 0
            for process in self.processes.values():
                busy += await process.handle_deadlines()
                busy += await process.send(reads_table=True)
                busy += await process.deliver(None)
                await process.commit_offsets()
                if process.name == "notifications":
                    await self._mails_are_due()
                    await process.deliver_mails()
            if not busy:
                return
        raise self._violation(f"something was still to do after {_ROUNDS} turns of each service")

    async def sessions(self) -> dict[str, Any]:
        """Booking's sessions by id."""
        connection = await self.connections.of("booking")
        rows = await connection.fetch("SELECT id::text, status, starts_at, ends_at FROM sessions ORDER BY id")
        return {row["id"]: row for row in rows}

    async def with_deadlines_due(self) -> list[str]:
        """The services that have deadlines to handle."""
        due = "SELECT EXISTS (SELECT FROM deadlines WHERE due_at <= $1)"
        return [one for one in SERVICES if await (await self.connections.of(one)).fetchval(due, self.time.now)]

    async def next_deadline(self) -> datetime | None:
        """When the first deadline of any service is due."""
        found = []
        for service in SERVICES:
            connection = await self.connections.of(service)
            found.append(await connection.fetchval("SELECT min(due_at) FROM deadlines"))
        return min((at for at in found if at is not None), default=None)


def _id_of(answer: Any) -> Any:
    return answer.get("id") if isinstance(answer, dict) else None
