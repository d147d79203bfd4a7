"""The scheduler: which step comes next, by chance alone, from what the world looks like."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from makegood_contracts.topics import SERVICES

from makegood_simulator.people import MEMBERS, PROVIDERS, Request
from makegood_simulator.steps import Kind, Step
from makegood_simulator.virtual import START
from makegood_simulator.world import World

_WEIGHTS: Final[dict[Kind, int]] = {
    "request": 30,
    "again": 2,
    "deliver": 28,
    "send": 22,
    "flow": 10,
    "deadlines": 9,
    "offsets": 5,
    "mails": 2,
    "clock": 5,
    "skew": 1,
    "restart": 1,
    "lose-partitions": 2,
    "lose-lease": 1,
    "cut-off": 1,
    "reconnect": 2,
    "settle": 1,
}
_CRASHES: Final[dict[Kind, tuple[str, ...]]] = {
    "request": ("unit.flushed", "unit.committed"),
    "again": ("unit.flushed", "unit.committed"),
    "deliver": (
        "consumer.polled",
        "consumer.inbox",
        "consumer.handled",
        "unit.flushed",
        "unit.committed",
        "delivery.attempted",
    ),
    "send": ("relay.fetched", "relay.sending", "relay.sent", "relay.deleted"),
    "deadlines": ("deadlines.taken", "unit.flushed", "unit.committed"),
    "offsets": ("consumer.before_offsets", "consumer.after_offsets"),
    "mails": ("delivery.attempted",),
}
"""The failpoints at which a step of this kind can die."""
_CRASH_CHANCE: Final[dict[Kind, float]] = {
    "request": 0.06, "again": 0.06, "deliver": 0.12, "send": 0.12, "deadlines": 0.25, "offsets": 0.3, "mails": 0.3,
}  # fmt: skip
_FAULT_CHANCE: Final = 0.05
_FAR: Final = timedelta(hours=30)
"""How far the clock jumps at once: otherwise rooms would soon count as inactive."""
_TOOK_PLACE: Final = frozenset({"completed", "provider_missed", "member_no_show"})
_OVER: Final = frozenset(
    {"rejected", "declined", "expired", "cancelled", "completed", "provider_missed", "member_no_show"}
)


@dataclass
class Chooser:
    """Chooses steps until `sessions` were asked for and `steps` were played."""

    seed: int
    chance: random.Random = field(init=False)
    _made: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    async def step(self, world: World) -> Step:
        """The next step."""
        kind = self.chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
        step = await self._of(kind, world)
        points = _CRASHES.get(step.kind)
        if points and self.chance.random() < _CRASH_CHANCE[step.kind]:
            step = replace(step, crash=(self.chance.choice(points), self.chance.choice((1, 1, 1, 2, 3))))
        return step

    async def _of(self, kind: Kind, world: World) -> Step:
        chance = self.chance
        service = await self._service(kind, world)
        match kind:
            case "request":
                return await self._request(world)
            case "again":
                return self._again(world)
            case "deliver":
                return Step("deliver", service, chance=self._seed() if chance.random() < 0.7 else 0)
            case "send":
                fault = chance.choice(("lost-ack", "not-taken")) if chance.random() < _FAULT_CHANCE else None
                options: dict[str, Any] = {"reads_table": True} if chance.random() < 0.3 else {}
                return Step("send", service, options=options | ({"fault": fault} if fault else {}), chance=self._seed())
            case "mails":
                return Step("mails", "notifications")
            case "clock":
                return Step("clock", options={"at": (await self._moment(world)).isoformat()})
            case "skew":
                return Step("skew", service, options={"seconds": chance.randint(-20, 20)})
            case "settle" | "flow":
                return Step(kind)
            case "reconnect":
                return Step("reconnect", chance.choice(sorted(world.log.cut_off) or SERVICES))
            case _:
                return Step(kind, service)

    async def _service(self, kind: Kind, world: World) -> str:
        """Any service, but mostly one that has something to do."""
        busy: list[str] = []
        if kind == "deliver":
            busy = [name for name, process in world.processes.items() if process.kafka.behind()]
        elif kind == "deadlines":
            busy = await world.with_deadlines_due()
        elif kind == "send":
            busy = [name for name, process in world.processes.items() if process.relay._handed_over]
        return self.chance.choice(busy if busy and self.chance.random() < 0.85 else SERVICES)

    def _seed(self) -> int:
        return self.chance.randint(1, 1 << 30)

    def _name(self, what: str) -> str:
        self._made += 1
        return f"{what}-{self._made}"

    async def _moment(self, world: World) -> datetime:
        """A few minutes later while a session is on, otherwise often just before one begins, or at the next deadline."""
        now, chance = world.time.now, self.chance
        rows = [row for row in (await world.sessions()).values() if row["status"] not in _OVER]
        if any(_is_on(row, now) for row in rows):
            return now + timedelta(minutes=chance.choice((1, 2, 4, 6, 12)))
        way = chance.random()
        agreed: list[datetime] = [
            row["starts_at"] for row in rows if row["status"] == "confirmed" and row["starts_at"] > now
        ]
        if way < 0.35 and agreed:
            return max(now, min(agreed) + timedelta(minutes=chance.choice((-9, -6, -3, 0, 2, 5))))
        if way < 0.55 and (due := await world.next_deadline()) is not None and due < now + _FAR:
            return max(now, due) + timedelta(seconds=chance.choice((0, 1, 40)))
        if way < 0.65:
            return now + timedelta(minutes=chance.choice((16, 30, 120)))
        return now + timedelta(minutes=chance.choice((1, 2, 3, 7)))

    def _again(self, world: World) -> Step:
        """Whoever got no answer asks again; sometimes also somebody who got one."""
        asked = [one for one in world.memory.requests.values() if not one.name.startswith("opening")]
        unknown = [one for one in asked if one.unknown]
        if unknown:
            return Step("again", name=self.chance.choice(unknown).name)
        return Step("again", name=self.chance.choice(asked[-6:]).name if asked else "")

    async def _request(self, world: World) -> Step:
        chance = self.chance
        if any(one.unknown for one in world.memory.requests.values()) and chance.random() < 0.3:
            return self._again(world)
        booked = [
            one for one in world.memory.requests.values() if one.does == "book" and world.memory.session_id(one.name)
        ]
        statuses = await world.sessions()
        on = [one for one in booked if _is_on(statuses.get(one.answer["id"]), world.time.now)]
        if on and chance.random() < 0.75:
            return self._about(chance.choice(on), statuses, world)
        live = [one for one in booked if statuses.get(one.answer["id"], {"status": "gone"})["status"] not in _OVER]
        way = chance.random()
        if not live or way < 0.22:
            return self._book(world)
        if way < 0.8:
            soon = sorted(live, key=lambda one: statuses[one.answer["id"]]["starts_at"])[:2]
            return self._about(chance.choice(soon if chance.random() < 0.6 else live), statuses, world)
        over = [one for one in booked if statuses.get(one.answer["id"], {"status": ""})["status"] in _TOOK_PLACE]
        if way < 0.92 and over:
            return self._afterwards(chance.choice(over[-5:]))
        return self._around(world)

    def _slot(self, world: World) -> str:
        """A time that others want, too: few of them, on the days to come."""
        day = max(world.time.now, START) + timedelta(days=self.chance.choice((0, 0, 0, 0, 1, 2)))
        while day.weekday() > 4:
            day += timedelta(days=1)
        hour = (
            self.chance.choice((9, 10, 14, 17))
            if day.date() != world.time.now.date()
            else world.time.now.hour + self.chance.choice((1, 2, 3))
        )
        minute = self.chance.choice((0, 30))
        return day.replace(hour=min(hour, 17), minute=minute if hour < 17 else 0, second=0, microsecond=0).isoformat()

    def _book(self, world: World) -> Step:
        chance = self.chance
        options = {
            "member": chance.choice(list(MEMBERS)),
            "provider": chance.choice(PROVIDERS),
            "starts_at": self._slot(world),
        }
        if chance.random() < 0.35:
            options["by"] = "provider"
        return Step("request", name=self._name("book"), does="book", options=options)

    def _about(self, booked: Request, statuses: dict[str, Any], world: World) -> Step:
        chance = self.chance
        row = statuses[booked.answer["id"]]
        options: dict[str, Any] = {}
        near = row["starts_at"] - timedelta(minutes=10) <= world.time.now
        match row["status"]:
            case "requested":
                does = chance.choice(("confirm", "confirm", "cancel"))
            case "reserved":
                does = chance.choice(("confirm",) * 9 + ("decline", "cancel", "reschedule"))
            case _ if near:
                return self._when_it_is_on(booked)
            case _:
                does = chance.choice(("cancel", "reschedule", "reschedule", "join", "extend"))
        if does in ("cancel", "join", "leave", "reschedule"):
            options["by"] = chance.choice(("member", "provider"))
        if does == "reschedule":
            options["starts_at"] = self._slot(world)
        if does == "extend":
            options["minutes"] = chance.choice((10, 15))
        return Step("request", name=self._name(does), does=does, session=booked.name, options=options)

    def _when_it_is_on(self, booked: Request) -> Step:
        """In some sessions both come, in others one or nobody."""
        chance = self.chance
        who = (("member", "provider"), ("member", "provider"), ("provider",), ("member",), ())[
            zlib.crc32(f"{self.seed} {booked.name}".encode()) % 5
        ]
        does = chance.choice(("join",) * 20 + ("leave", "no-show", "cancel", "extend"))
        options: dict[str, Any] = {}
        if does == "join":
            if who:
                options["by"] = chance.choice(who)
            else:
                does = "write"
        elif does in ("leave", "cancel"):
            options["by"] = chance.choice(("member", "provider"))
        elif does == "extend":
            options["minutes"] = chance.choice((10, 15))
        if does == "write":
            member, _, provider = booked.session.partition("/")
            return Step("request", name=self._name(does), does=does, options={"member": member, "provider": provider})
        return Step("request", name=self._name(does), does=does, session=booked.name, options=options)

    def _afterwards(self, booked: Request) -> Step:
        does = self.chance.choice(("correct", "dispute", "return"))
        options: dict[str, Any] = {}
        if does == "correct":
            options = {
                "by": "support",
                "outcome": self.chance.choice(("completed", "provider_missed", "member_no_show")),
            }
        return Step("request", name=self._name(does), does=does, session=booked.name, options=options)

    def _around(self, world: World) -> Step:
        chance = self.chance
        does = chance.choice(("wait", "wait", "time-off", "adjust", "write"))
        member, provider = chance.choice(list(MEMBERS)), chance.choice(PROVIDERS)
        begins = datetime.fromisoformat(self._slot(world))
        until = begins + timedelta(hours=chance.choice((1, 3)))
        options: dict[str, Any]
        match does:
            case "time-off":
                options = {"provider": provider, "from": begins.isoformat(), "to": until.isoformat()}
                options["sessions"] = chance.choice(("keep", "cancel"))
            case "wait":
                options = {"member": member, "provider": provider, "from": begins.isoformat(), "to": until.isoformat()}
            case "adjust":
                options = {"member": member, "amount": chance.choice((1, 2, -1))}
            case _:
                options = {"member": member, "provider": provider}
        return Step("request", name=self._name(does), does=does, options=options)


def _is_on(row: Any, now: datetime) -> bool:
    """Whether its parties can join the session now."""
    if row is None or row["status"] not in ("confirmed", "in_session"):
        return False
    return bool(row["starts_at"] - timedelta(minutes=10) <= now < row["ends_at"])


def ending(now: datetime, starts: Sequence[datetime]) -> list[Step]:
    """How every schedule ends: all is quiet, and then again after the last session would be over."""
    last = max([now, *starts]) + timedelta(hours=3)
    return [Step("settle"), Step("clock", options={"at": last.isoformat()}), Step("settle", options={"all_over": True})]
