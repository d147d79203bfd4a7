"""Makes figures of what a run has found, and one table of them: previous release, today, target."""

from __future__ import annotations

from typing import Any

Figures = dict[str, float]
"""Values by their names in the table, in its order."""

_DBOS = "PERF-1 bookings/s ÷ DBOS"
_FLOOR = "PERF-2 bookings/s ÷ floor"
_MISS = "PERF-3 missed session, made good: p50 ÷ floor"
_MISS_TAIL = "PERF-3 missed session, made good: p99 ÷ p50"
_ONE_CLIENT = "PERF-3 one client's booking: p50 ÷ floor"
_MISS_COST = "missed session: processor ms"

TARGETS = {
    _DBOS: ("≥ 12", "15"),
    _FLOOR: ("≥ 0.20", "0.25"),
    _MISS: ("≤ 2.5", "1.5"),
    _MISS_TAIL: ("≤ 2.5", "2"),
    _ONE_CLIENT: ("≤ 2.5", "1.5"),
    _MISS_COST: ("half", "a third"),
}
"""What must hold, and the aim."""

_SUMS = {
    "statements": "SQL statements",
    "events": "events",
    "batches": "batches that the broker wrote",
    "requests": "HTTP requests",
}
"""Kinds of counts that `costs.py` gives by service or topic, and their names in the table."""

_MACHINE = {
    "machine_ms": "processor ms of the whole machine",
    "million_instructions": "million instructions of the whole machine",
}

_PEERS = {
    "dbos": "DBOS",
    "restate": "Restate",
    "temporal": "Temporal",
    "plain": "plain FastAPI, SQLAlchemy and aiokafka",
}


def costs_figures(costs: dict[str, dict[str, dict[str, float]]]) -> Figures:
    """The counts of `costs.py`, as sums over services or topics; statements by service, too."""
    figures: Figures = {}
    for work, counts in costs.items():
        for kind, label in _SUMS.items():
            if kind in counts:
                figures[f"{work}: {label}"] = round(sum(counts[kind].values()), 2)
        for service, count in counts.get("statements", {}).items():
            figures[f"{work}: SQL statements, {service}"] = count
        figures |= {f"{work}: {_words(key)}": value for key, value in counts.get("totals", {}).items()}
        figures |= {f"{work}: rows {_words(key)}": value for key, value in counts.get("rows", {}).items()}
    return figures


def _words(key: str) -> str:
    return key.replace("_", " ").replace("wal bytes", "WAL bytes")


def round_figures(found: dict[str, Any]) -> Figures:
    """The figures of one round. The ratios come first."""
    best = max(found["bookings"], key=lambda run: run["per_second"])
    present = {name: peer for name, peer in found["peers"].items() if "left_out" not in peer}
    figures: Figures = {}
    for name, peer in present.items():
        figures[_DBOS if name == "dbos" else f"bookings/s ÷ {_PEERS[name]}"] = round(
            best["per_second"] / peer["per_second"], 2
        )
    figures[_FLOOR] = round(best["per_second"] / found["floor"], 3)
    if "misses" in found:
        figures |= _miss_ratios(found)
    alone = next((run for run in found["bookings"] if run["clients"] == 1), None)
    if alone is not None:
        figures[_ONE_CLIENT] = round(alone["p50_ms"] / found["latency_floor"]["two_hops"]["p50_ms"], 2)
    figures |= _speeds(found, best, present)
    figures |= _costs("booking", best["processor_ms"])
    if "misses" in found:
        run = found["misses"]
        per_miss = {name: cores * 1000 / run["missed_per_second"] for name, cores in run["cores"].items()}
        figures |= _costs("missed session", per_miss)
    return figures


def _miss_ratios(found: dict[str, Any]) -> Figures:
    made_good = found["misses"]["all_made_good_ms"]
    return {
        _MISS: round(made_good["p50"] / found["latency_floor"]["one_hop"]["p50_ms"], 2),
        _MISS_TAIL: round(made_good["p99"] / made_good["p50"], 2),
    }


def _speeds(found: dict[str, Any], best: dict[str, Any], present: dict[str, Any]) -> Figures:
    """The figures behind the ratios; they depend on the machine and its weather."""
    figures = {"bookings/s, floor": found["floor"], "bookings/s, Makegood": best["per_second"]}
    figures |= {f"bookings/s, {_PEERS[name]}": peer["per_second"] for name, peer in present.items()}
    for run in found["bookings"]:
        clients = f"{run['clients']} clients" if run["clients"] > 1 else "one client"
        figures |= {f"bookings/s, {clients}": run["per_second"], f"p50 ms, {clients}": run["p50_ms"]}
    for name, floor in found["latency_floor"].items():
        figures[f"p50 ms, floor of {_words(name)}"] = floor["p50_ms"]
    for name in ("misses", "misses_in_bursts"):
        if name in found:
            made_good = found[name]["all_made_good_ms"]
            figures |= {f"{q} ms, {_words(name)} made good": made_good[q] for q in ("p50", "p99")}
    contenders = {"Makegood": best, **{_PEERS[name]: peer for name, peer in present.items()}}
    for unit, label in _MACHINE.items():
        figures |= {f"{label} per booking, {name}": one[unit] for name, one in contenders.items() if unit in one}
    figures["cores taken by the load"] = best["cores"]["load"]
    return figures


def _costs(work: str, milliseconds: dict[str, float]) -> Figures:
    """Processor time, all processes and each. The load is not part of the platform."""
    platform = {name: value for name, value in milliseconds.items() if name != "load"}
    figures = {f"{work}: processor ms": round(sum(platform.values()), 2)}
    for name, value in sorted(platform.items(), key=lambda pair: -pair[1]):
        figures[f"{work}: processor ms, {name}"] = round(value, 3)
    return figures


def table(today: Figures, previous: Figures) -> list[str]:
    """The lines of one table, as Markdown. Counts aim at half of the previous release's (PERF-10)."""
    lines = ["| figure | previous release | today | must | aim |", "| --- | --- | --- | --- | --- |"]
    for name, value in today.items():
        must, aim = TARGETS.get(name, ("", ""))
        before = previous.get(name)
        if before is not None and name.startswith("one "):
            aim = aim or f"{before / 2:,g}"
        lines.append(f"| {name} | {'' if before is None else f'{before:,g}'} | {value:,g} | {must} | {aim} |")
    return lines
