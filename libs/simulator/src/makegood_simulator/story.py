"""A schedule in plain English."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from makegood_simulator.running import Played
from makegood_simulator.steps import Step

_AT: Final[dict[str, str]] = {
    "consumer.polled": "with the events in hand, before it looked at them",
    "consumer.inbox": "after it noted which events it handles",
    "consumer.handled": "after its handlers, before it wrote what they decided",
    "unit.flushed": "just before the commit",
    "unit.committed": "just after the commit",
    "consumer.before_offsets": "before it committed its offsets",
    "consumer.after_offsets": "after it committed its offsets",
    "relay.fetched": "after it read the outbox",
    "relay.sending": "before it sent what it had read from the outbox",
    "relay.sent": "after it sent the events, before it deleted them",
    "relay.deleted": "after it deleted what it had sent",
    "deadlines.taken": "after it took the deadlines that were due",
    "delivery.attempted": "after it handed over a mail, before it noted that",
}


def story(played: Played) -> str:
    """What happens in the schedule, one line a step, and what went wrong."""
    lines = [f"{number:>4}  {line}" for number, line in enumerate(map(told, played.steps), start=1)]
    if played.violation is not None:
        lines.append(f"Then: {played.violation.found}.")
    return "\n".join(["Two providers have schedules, three members have plans, and each pair has a room.", *lines])


def told(step: Step) -> str:
    """One step as a sentence."""
    died = "" if step.crash is None else f" It dies {_AT.get(step.crash[0], step.crash[0])}{_times(step.crash[1])}."
    return f"{_sentence(step)}.{died}"


def _times(count: int) -> str:
    return "" if count == 1 else f", the {count}{'nd' if count == 2 else 'rd' if count == 3 else 'th'} time"


def _sentence(step: Step) -> str:
    options, service = step.options, step.service.title()
    match step.kind:
        case "request":
            return _request(step)
        case "again":
            return f"{step.name} is asked for again, with the same key"
        case "deliver":
            return f"{service} gets {'some of the events that wait' if step.chance else 'all events that wait'}"
        case "send":
            lost = {"lost-ack": ", and some acknowledgements are lost", "not-taken": ", and some requests get lost"}
            return f"{service} sends what is in its outbox{lost.get(options.get('fault', ''), '')}"
        case "flow":
            return "Each service sends what it has and gets what waits"
        case "deadlines":
            return f"{service} handles the deadlines that are due"
        case "offsets":
            return f"{service} commits its offsets"
        case "mails":
            return "Notifications sends the mails that wait"
        case "clock":
            return f"It becomes {_time(options['at'])}"
        case "skew":
            return f"{service}'s clock is {abs(options['seconds'])} s {'slow' if options['seconds'] < 0 else 'fast'}"
        case "restart":
            return f"{service} is killed and starts again"
        case "lose-partitions":
            return f"{service} loses its partitions and gets them back"
        case "lose-lease":
            return f"{service} loses its lease on the outbox"
        case "cut-off":
            return f"{service} can no longer reach the log"
        case "reconnect":
            return f"{service} can reach the log again"
        case "settle":
            return "Everything works again until nothing is left to do, and the audit looks at it"


def _request(step: Step) -> str:
    options = step.options
    match step.does:
        case "book":
            who = options.get("by", "member")
            return f"{step.name}: {options[who].title()} books {_pair(options)} for {_time(options['starts_at'])}"
        case "reschedule":
            return f"{step.name}: the {options['by']} moves {step.session} to {_time(options['starts_at'])}"
        case "correct":
            return f"{step.name}: support corrects {step.session} to {options['outcome'].replace('_', ' ')}"
        case "return":
            return f"{step.name}: support returns the credit of {step.session}"
        case "wait":
            return f"{step.name}: {options['member'].title()} waits for a slot of {options['provider'].title()}"
        case "time-off":
            return f"{step.name}: {options['provider'].title()} takes time off at {_time(options['from'])} ({options['sessions']} sessions)"
        case "adjust":
            return f"{step.name}: support gives {options['member'].title()} {options['amount']} credits"
        case "write":
            return f"{step.name}: {options['member'].title()} writes to {options['provider'].title()}"
        case _ if step.session:
            by = options.get("by") or (
                "provider" if step.does in ("confirm", "decline", "no-show", "extend") else "member"
            )
            return f"{step.name}: the {by} asks to {step.does} {step.session}"
        case _:
            return f"{step.name}: {step.does}"


def _pair(options: dict[str, str]) -> str:
    return f"{options['member'].title()} with {options['provider'].title()}"


def _time(at: str) -> str:
    return f"{datetime.fromisoformat(at):%a %d %b %H:%M:%S}".removesuffix(":00")
